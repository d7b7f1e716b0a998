"""Data sets that cannot be had here, in their real layout, with tiny noise images.

``python -m tests.trees deepfashion FOLDER --images N``, likewise ``fashion_products``.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from PIL import Image

DISTINCT = 512  # images beyond these are hard links to earlier ones
# Names and, in the order of the real file, their parts of the body.
CATEGORIES = {
    1: "Anorak Blazer Blouse Bomber Button-Down Cardigan Flannel Halter Henley "
    "Hoodie Jacket Jersey Parka Peacoat Poncho Sweater Tank Tee Top Turtleneck",
    2: "Capris Chinos Culottes Cutoffs Gauchos Jeans Jeggings Jodhpurs Joggers "
    "Leggings Sarong Shorts Skirt Sweatpants Sweatshorts Trunks",
    3: "Caftan Cape Coat Coverup Dress Jumpsuit Kaftan Kimono Nightdress Onesie Robe "
    "Romper Shirtdress Sundress",
}
NAMES = [(name, part) for part, names in CATEGORIES.items() for name in names.split()]
# Of the garments of a category: few garments of each still have one in every part.
PARTITION = ("train", "val", "test", "train", "train", "train", "train")
# articleType, subCategory, masterCategory, usage
ARTICLES = (
    ("Tshirts", "Topwear", "Apparel", "Casual"),
    ("Shirts", "Topwear", "Apparel", "Formal"),
    ("Casual Shoes", "Shoes", "Footwear", "Casual"),
    ("Watches", "Watches", "Accessories", "NA"),
)
COLOURS = ("Black", "Navy Blue", "Off White")


def write_images(paths: list[Path], kinds: list[int], size: tuple[int, int]) -> None:
    """Noise around a grey that tells the kind, so that something can be learned."""
    for folder in {path.parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    for index, (path, kind) in enumerate(zip(paths, kinds, strict=True)):
        if index >= DISTINCT:
            os.link(paths[index % DISTINCT], path)
            continue
        noise = np.random.default_rng(index).integers(0, 60, (size[1], size[0], 3))
        grey = 40 * (kind % 5)
        Image.fromarray((noise + grey).astype(np.uint8)).save(path, quality=90)


def write_list(file: Path, header: str, rows: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join((str(len(rows)), header, *rows)) + "\n")


def deepfashion(
    root: Path,
    images: int = 96,
    *,
    categories: int = 4,
    per_garment: int = 4,
    annotations: str = "Anno",
    partition: str = "Eval",
    photos: str = "img",
    size: tuple[int, int] = (24, 32),
) -> Path:
    """Category and Attribute Prediction benchmark; every seventh folder misnames it.

    Boxes leave out a quarter at each side of a low-resolution image: of this very size,
    or 300 px high if ``photos`` are those of high resolution.
    """
    highres = photos.endswith("highres")
    width, height = (225, 300) if highres else size
    box = f"{width // 4:03} {height // 4:03} {width * 3 // 4:03} {height * 3 // 4:03}"
    names, labels, parts = [], [], []
    for index in range(images):
        garment = index // per_garment
        kind, turn = garment % categories, garment // categories
        word = NAMES[(kind + 1 if garment % 7 == 6 else kind) % len(NAMES)][0]
        names.append(f"Plain_No{garment}_{word}/img_{index:08}.jpg")
        labels.append(kind)
        parts.append(PARTITION[turn % len(PARTITION)])
    paths = [f"img/{name}".ljust(70) for name in names]
    anno = root / annotations
    write_list(
        anno / "list_category_cloth.txt",
        "category_name  category_type",
        [f"{name:15}{part}" for name, part in NAMES],
    )
    for file, header, cells in (
        (anno / "list_category_img.txt", "category_label", [n + 1 for n in labels]),
        (anno / "list_bbox.txt", "x_1  y_1  x_2  y_2", [box] * images),
        (root / partition / "list_eval_partition.txt", "evaluation_status", parts),
    ):
        rows = [f"{path} {cell}" for path, cell in zip(paths, cells, strict=True)]
        write_list(file, f"image_name  {header}", rows)
    write_images([root / photos / name for name in names], labels, size)
    return root


def fashion_products(
    root: Path, images: int = 96, *, size: tuple[int, int] = (24, 32)
) -> Path:
    """Three colours of each product; every fifth name holds commas.

    One row has no image and one image no row.
    """
    lines = [
        "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,"
        "usage,productDisplayName"
    ]
    for index in range(images + 1):
        product, colour = index // len(COLOURS), COLOURS[index % len(COLOURS)]
        article, sub, master, usage = ARTICLES[product % len(ARTICLES)]
        gender = "Men" if product % 2 else "Women"
        extra = ", Soft, Pack of 2" if product % 5 == 4 else ""
        name = f"Brand{product} {gender} {colour} {article}{extra}"
        lines.append(
            f"{1000 + index},{gender},{master},{sub},{article},{colour},Summer,2012,"
            f"{usage},{name}"
        )
    numbers = [*range(1000, 1000 + images), 1]
    kinds = [(n - 1000) // len(COLOURS) % len(ARTICLES) for n in numbers]
    write_images([root / "images" / f"{n}.jpg" for n in numbers], kinds, size)
    (root / "styles.csv").write_text("\n".join(lines) + "\n")
    return root


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", choices=("deepfashion", "fashion_products"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--categories", type=int, default=4, help="of deepfashion")
    parser.add_argument("--per-garment", type=int, default=4, help="photos, likewise")
    options = parser.parse_args()
    if options.dataset == "deepfashion":
        deepfashion(
            options.folder,
            options.images,
            categories=options.categories,
            per_garment=options.per_garment,
        )
    else:
        fashion_products(options.folder, options.images)


if __name__ == "__main__":
    main()

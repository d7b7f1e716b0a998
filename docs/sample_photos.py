"""Choose and shrink the packaged photos: ``python docs/sample_photos.py``.

It needs the clothing dataset, below ``CLOTHING_DATA``. The folder
`clothing_lightning/datamodules/sample_photos` is made anew. The same photos are chosen
each time; their bytes depend on Pillow's version.
"""

import hashlib
import shutil
from pathlib import Path

import pandas as pd
from PIL import Image

from clothing_lightning.data.dataset import usable_cores
from clothing_lightning.data.inspection import inspect_images
from clothing_lightning.data.near_duplicates import near_duplicates
from clothing_lightning.datamodules.clothing_dataset import ClothingDataset
from clothing_lightning.datamodules.sample import PHOTOS

SEED = 0
CLASSES = 10  # those with the most photos
PHOTOS_PER_CLASS = 48
SHORT_SIDE_PX = 160
QUALITY = 60
MOST_BYTES = 3_000_000
ABOUT = """\
These 480 photos are a part of the clothing dataset by Alexey Grigorev and the people
who sent him photos of their clothes: https://github.com/alexeygrigorev/clothing-dataset
They are in the public domain (CC0 1.0), and were scaled to a short side of 160 px. The
table images.csv has the columns of the original. docs/sample_photos.py chose them.
"""


def main() -> None:
    """Write the photos, their table and their origin."""
    source = ClothingDataset().source
    table = source.table
    largest = table["label"].value_counts().index[:CLASSES]
    table = without_copies(source.root, table[table["label"].isin(largest)])
    chosen = pd.concat(spread(rows) for _, rows in table.groupby("label"))
    shutil.rmtree(PHOTOS, ignore_errors=True)
    (PHOTOS / "images").mkdir(parents=True)
    for path in chosen["path"]:
        shrink(source.root / path, PHOTOS / "images" / Path(path).name)
    rows = chosen.assign(image=chosen["path"].map(lambda path: Path(path).stem))
    rows = rows.rename(columns={"group": "sender_id"}).sort_values("image")
    columns = ["image", "sender_id", "label", "kids"]
    rows.to_csv(PHOTOS / "images.csv", columns=columns, index=False)
    (PHOTOS / "README.txt").write_text(ABOUT, encoding="utf-8")
    size = sum(file.stat().st_size for file in PHOTOS.rglob("*") if file.is_file())
    senders = rows["sender_id"].nunique()
    print(f"{len(rows)} photos of {senders} senders, {size:,} bytes")
    if size > MOST_BYTES:
        raise SystemExit(f"That is more than {MOST_BYTES:,} bytes: lower QUALITY.")


def without_copies(root: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Leave out every photo that is in the table twice, or nearly so."""
    paths = list(table["path"])
    inspected = inspect_images(root, paths, workers=usable_cores())
    same = inspected["sha256"].duplicated(keep=False).to_numpy()
    hashes = pd.Series(inspected["phash"].to_numpy(), index=paths)[~same]
    pairs = near_duplicates(root, hashes, workers=usable_cores()).pairs
    alike = table["path"].isin([*pairs["path_a"], *pairs["path_b"]])
    return table[~same & ~alike]


def spread(rows: pd.DataFrame) -> pd.DataFrame:
    """Choose photos of one class: one of each sender, then a second, and so on."""
    rows = rows.assign(lot=rows["path"].map(drawn_lot)).sort_values("lot")
    turn = rows.groupby("group").cumcount()
    return rows.assign(turn=turn).sort_values(["turn", "lot"])[:PHOTOS_PER_CLASS]


def drawn_lot(path: str) -> str:
    """A photo's place in an order by chance, which no other photo changes."""
    return hashlib.sha256(f"{SEED} {path}".encode()).hexdigest()


def shrink(source: Path, target: Path) -> None:
    """Save a photo with a short side of `SHORT_SIDE_PX`, and without metadata."""
    with Image.open(source) as image:
        scale = SHORT_SIDE_PX / min(image.size)
        width, height = (round(side * scale) for side in image.size)
        small = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    small.save(target, quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main()

"""One page, complete in itself, on what is odd about a data set, and its tables."""

import re
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from clothing_lightning.data.audit import Audit, size_facts
from clothing_lightning.data.audit_issues import ELONGATED, WEIGHTS, issues
from clothing_lightning.data.decoding import read_image
from clothing_lightning.errors import ImageError, StorageError
from clothing_lightning.reports.audit_text import (
    HEADINGS,
    json_text,
    largest_first,
    summary,
)
from clothing_lightning.reports.class_balance import class_counts_figure
from clothing_lightning.reports.image_sizes import image_sizes_figure
from clothing_lightning.reports.page import data_address, png, render

REPORT = "audit.json"
PAIRS_SHOWN, PHOTOS_SHOWN, ROWS_SHOWN = 60, 12, 50
"""They bound the page to some megabytes; the CSV files have the rest."""

_THUMBNAIL_PX = 240
_QUALITY = 75
_SIZE_NAMES = {
    "smallest": "smallest",
    "median": "median",
    "largest": "largest",
    "short_side_p5_px": "short side: 5 % are below",
    "short_side_p50_px": "short side: half are below",
    "short_side_p95_px": "short side: 95 % are below",
    "largest_ratio": "long side by short side, at most",
}


def write_audit(audit: Audit, folder: Path, command: str) -> Path:
    """Write the page and the tables, and a file for corrections if there is none yet.

    Returns:
        The path of the page, which tells the command to run next.

    Raises:
        StorageError: If a file cannot be written.
    """
    page = folder / "index.html"
    texts = {page: audit_page(audit, command), folder / REPORT: json_text(audit)}
    tables = {
        "duplicates": audit.duplicates,
        "near_duplicates": audit.near_table,
        "unreadable": audit.source.unreadable,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            file.write_text(text, encoding="utf-8")
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.csv", index=False)
        with suppress(FileExistsError), (folder / "corrections.csv").open("x") as own:
            own.write("path,label\n")
    except OSError as err:
        raise StorageError(
            f"{err.filename or folder}: cannot be written ({err.strerror}). Make room, "
            "or name another folder with --out."
        ) from err
    return page


def audit_page(audit: Audit, command: str) -> str:
    """HTML of findings, figures, photos, which are read again, and the next command."""
    unreadable = audit.source.unreadable.rename(columns={"reason": "why"})
    pairs = audit.pairs[:PAIRS_SHOWN].to_dict("records")
    return render(
        "audit_page.html",
        title=summary(audit),
        root=audit.source.root,
        issues=_issues(audit),
        next_command=command,
        pairs={
            "count": len(audit.pairs),
            "shown": [_pair(audit, pair) for pair in pairs],
        },
        classes=_classes(audit),
        sizes=_sizes(audit),
        unreadable=unreadable[["path", "label", "why"]][:ROWS_SHOWN]
        .astype(str)
        .to_dict("records"),
    )


def _issues(audit: Audit) -> dict[str, dict[str, Any]]:
    """Gather issues by their heading, the worst first."""
    by_heading = {}
    for weight in WEIGHTS:
        of_weight = [
            {"what": issue.what, "todo": _around_flags(issue.todo)}
            for issue in issues(audit)
            if issue.weight == weight
        ]
        if of_weight:
            kind = weight.replace(" ", "-")
            by_heading[HEADINGS[weight]] = {"kind": kind, "issues": of_weight}
    return by_heading


def _around_flags(sentence: str) -> list[str]:
    """Split a sentence before and behind each flag, which is shown as code."""
    return re.split(r"(--[\w.]+)", sentence) if sentence else []


def _pair(audit: Audit, pair: dict[Any, Any]) -> dict[str, Any]:
    kind = "the same file"
    if not pair["identical"]:
        mirrored = ", mirrored" if pair["mirrored"] else ""
        kind = f"{pair['similarity']:.0%} similar{mirrored}"
    badges = {"labels_differ": "labels differ", "straddles": "train and not"}
    photos = {}
    for side in ("a", "b"):
        label, split, group = (pair[f"{x}_{side}"] for x in ("label", "split", "group"))
        facts = [split] if isinstance(split, str) else []
        facts += [f"{audit.source.group_noun} {group}"] if group == group else []
        photos[side] = _photo(audit, pair[f"path_{side}"], label, facts)
    shown = [text for column, text in badges.items() if pair[column]]
    return {"kind": kind, "badges": shown, **photos}


def _photo(
    audit: Audit, path: str, label: object, facts: Sequence[str]
) -> dict[str, Any]:
    src = _thumbnail(Path(audit.source.root) / path)
    return {"src": src, "label": str(label), "facts": facts, "path": path}


def _thumbnail(path: Path) -> str:
    """Read a photo as the address of a small one; empty if it cannot be read."""
    try:
        photo = Image.fromarray(read_image(path))
    except ImageError:
        return ""
    photo.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    file = BytesIO()
    photo.save(file, "JPEG", quality=_QUALITY)
    return data_address("image/jpeg", file.getvalue())


def _classes(audit: Audit) -> dict[str, Any]:
    """Gather the images of each class and split, the largest class first."""
    counts = largest_first(audit.counts)
    table = counts.assign(all=counts.sum(axis=1)).map("{:,}".format)
    table["share"] = (counts.sum(axis=1) / counts.to_numpy().sum()).map("{:.1%}".format)
    table.insert(0, "class", table.index.map(str))
    return {
        "figure": png(class_counts_figure(counts, None)),
        "rows": table.to_dict("records"),
    }


def _sizes(audit: Audit) -> dict[str, Any]:
    images = audit.images
    facts = {
        key: f"{fact:,.4g}" if isinstance(fact, float) else fact
        for key, fact in size_facts(images).items()
    }
    tiny = images[images["short_px"] < audit.source.size_px / 2]
    long = images[images["ratio"] > ELONGATED]
    return {
        "figure": png(image_sizes_figure(images, audit.source.size_px)),
        "rows": [
            {"sizes": text, "pixels": facts[k]} for k, text in _SIZE_NAMES.items()
        ],
        "smallest": _gallery(audit, tiny.sort_values("short_px")),
        "longest": _gallery(audit, long.sort_values("ratio", ascending=False)),
    }


def _gallery(audit: Audit, images: pd.DataFrame) -> dict[str, Any]:
    """Gather the first photos of a table of images."""
    shown = [
        _photo(audit, row["path"], row["label"], [f"{row['width']} x {row['height']}"])
        for row in images[:PHOTOS_SHOWN].to_dict("records")
    ]
    return {"count": len(images), "shown": shown}

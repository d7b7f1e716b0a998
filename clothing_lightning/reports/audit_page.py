"""One page, complete in itself, on what is odd about a data set."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from clothing_lightning.data.audit import size_facts
from clothing_lightning.data.audit_issues import ELONGATED
from clothing_lightning.data.audit_types import WEIGHTS, Audit
from clothing_lightning.data.decoding import read_image
from clothing_lightning.errors import ImageError
from clothing_lightning.reports.audit_text import HEADINGS, summary
from clothing_lightning.reports.class_balance import class_counts_figure
from clothing_lightning.reports.image_sizes import image_sizes_figure
from clothing_lightning.reports.page import filled
from clothing_lightning.reports.style import DPI

PAIRS_SHOWN, PHOTOS_SHOWN, ROWS_SHOWN = 60, 12, 50
"""They bound the page to some megabytes; the CSV files have the rest."""

_THUMBNAIL_PX = 240
_QUALITY = 75


def audit_page(found: Audit, command: str) -> str:
    """Write one HTML page with findings, figures and photos.

    Args:
        found: The audit; its photos are read once more.
        command: What to run next.

    Returns:
        The page; it needs nothing from elsewhere.
    """
    parts = [
        f'<p class="small">{escape(found.source.root)}</p>',
        _issues(found),
        f'<p>Then:</p><pre tabindex="0">{escape(command)}</pre>' if command else "",
        _pairs(found),
        _classes(found),
        _sizes(found),
        _unreadable(found.source.unreadable),
    ]
    title = escape(summary(found))
    return filled("audit_page.html", title=title, body="\n".join(filter(None, parts)))


def _issues(found: Audit) -> str:
    sections = []
    for weight in WEIGHTS:
        items = "".join(
            f"<li>{escape(issue.what)}"
            + (f'<span class="todo">{_flags(issue.todo)}</span>' if issue.todo else "")
            for issue in found.issues
            if issue.weight == weight
        )
        if items:
            kind = weight.replace(" ", "-")
            sections.append(
                f'<h2 class="{kind}">{HEADINGS[weight]}</h2><ul class="{kind}">'
                f"{items}</ul>"
            )
    return "".join(sections) or "<p>Nothing is to be put right.</p>"


def _flags(sentence: str) -> str:
    """Escape a sentence, and set flags as code, which is not broken."""
    return re.sub(r"--[\w.]+", r"<code>\g<0></code>", escape(sentence))


def _pairs(found: Audit) -> str:
    if found.pairs.empty:
        return ""
    shown = found.pairs[:PAIRS_SHOWN]
    more = len(found.pairs) - len(shown)
    cards = "".join(_pair(found, row) for row in shown.to_dict("records"))
    rest = f" The first {len(shown)} of {len(found.pairs):,}." if more else ""
    return (
        '<section><h2>The same picture twice?</h2><p class="small">Different labels '
        "first, then pairs with one image in train and one that is not. All are in "
        f"duplicates.csv and near_duplicates.csv.{rest}</p>"
        f'<div class="pairs">{cards}</div></section>'
    )


def _pair(found: Audit, pair: dict[Any, Any]) -> str:
    kind = "the same file"
    if not pair["identical"]:
        turned = ", mirrored" if pair["mirrored"] else ""
        kind = f"{pair['similarity']:.0%} similar{turned}"
    marks = [("labels differ", "labels_differ"), ("train and not", "straddles")]
    badges = "".join(f"<b>{text}</b>" for text, column in marks if pair[column])
    sides = ""
    for side in ("a", "b"):
        label, split, group = (pair[f"{x}_{side}"] for x in ("label", "split", "group"))
        known = [split] if isinstance(split, str) else []
        known += [f"{found.source.group_noun} {group}"] if group == group else []
        sides += _photo(found, pair[f"path_{side}"], label, known)
    return f"<article><header>{kind}{badges}</header><div>{sides}</div></article>"


def _photo(found: Audit, path: str, label: object, known: Iterable[str]) -> str:
    """A thumbnail with what is known of it and its path."""
    source = _thumbnail(Path(found.source.root) / path)
    image = f'<img alt="" src="{source}">' if source else "<p>cannot be read</p>"
    details = "".join(f" · {escape(detail)}" for detail in known)
    return (
        f"<figure>{image}<figcaption><strong>{escape(str(label))}</strong>{details}"
        f'<span class="path">{escape(path).replace("/", "/<wbr>")}</span>'
        "</figcaption></figure>"
    )


def _thumbnail(path: Path) -> str:
    try:
        photo = Image.fromarray(read_image(path))
    except ImageError:
        return ""
    photo.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    file = BytesIO()
    photo.save(file, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"


def _classes(found: Audit) -> str:
    order = found.counts.sum(axis=1).sort_values(ascending=False, kind="stable").index
    counts = found.counts.loc[order]
    headings = ["class", *map(str, counts.columns), "all", "share"]
    total = counts.to_numpy().sum()
    rows = [
        [
            str(label),
            *(f"{n:,}" for n in row),
            f"{sum(row):,}",
            f"{sum(row) / total:.1%}",
        ]
        for label, row in zip(order, counts.to_numpy(), strict=True)
    ]
    figure = _figure(class_counts_figure(counts, None), "Images per class and split")
    return (
        f"<section><h2>Classes</h2>{figure}<details><summary>As a table</summary>"
        f"{_table(headings, rows)}</details></section>"
    )


def _sizes(found: Audit) -> str:
    facts = size_facts(found.images)
    names = {
        "smallest": "smallest",
        "median": "median",
        "largest": "largest",
        "short_side_p5_px": "short side: 5 % are below",
        "short_side_p50_px": "short side: half are below",
        "short_side_p95_px": "short side: 95 % are below",
        "largest_ratio": "long side by short side, at most",
    }
    rows = [
        [text, f"{facts[key]:,.4g}" if isinstance(facts[key], float) else facts[key]]
        for key, text in names.items()
    ]
    figure = image_sizes_figure(found.images, found.source.size_px)
    images = found.images
    tiny = images[images["short_px"] < found.source.size_px / 2]
    long = images[images["ratio"] > ELONGATED]
    return (
        f"<section><h2>Sizes</h2>{_figure(figure, 'Short sides and shapes of images')}"
        f"{_table(['sizes', 'pixels'], rows)}"
        + _gallery(found, tiny.sort_values("short_px"), "The smallest images")
        + _gallery(
            found, long.sort_values("ratio", ascending=False), "The longest images"
        )
        + "</section>"
    )


def _gallery(found: Audit, images: pd.DataFrame, title: str) -> str:
    if images.empty:
        return ""
    photos = "".join(
        _photo(found, row["path"], row["label"], [f"{row['width']} x {row['height']}"])
        for row in images[:PHOTOS_SHOWN].to_dict("records")
    )
    return f'<h3>{title} ({len(images):,})</h3><div class="gallery">{photos}</div>'


def _unreadable(unreadable: pd.DataFrame) -> str:
    if unreadable.empty:
        return ""
    rows = unreadable[["path", "label", "reason"]][:ROWS_SHOWN].to_numpy().tolist()
    return (
        f"<section><h2>Images that cannot be read</h2>"
        f"{_table(['path', 'label', 'why'], rows)}</section>"
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    cell: Callable[[object], str] = lambda value: f"<td>{escape(str(value))}"  # noqa: E731
    head = "".join(f"<th>{escape(heading)}" for heading in headings)
    body = "\n".join("<tr>" + "".join(map(cell, row)) for row in rows)
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{head}<tbody>\n{body}'
        "</table></div>"
    )


def _figure(figure: Figure, alt: str) -> str:
    file = BytesIO()
    figure.savefig(file, dpi=DPI, format="png", facecolor="white")
    data = b64encode(file.getvalue()).decode()
    width = round(96 * figure.get_size_inches()[0])
    return (
        f'<figure class="chart"><img alt="{escape(alt)}" width="{width}" '
        f'src="data:image/png;base64,{data}"></figure>'
    )

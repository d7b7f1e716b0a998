"""What `prepare` prints: sentences for people, JSON for programs."""

import json

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clothing_lightning.data.audit import Audit, size_facts
from clothing_lightning.data.audit_issues import WEIGHTS, issues

HEADINGS = {
    "put right": "To put right before training",
    "look at": "To look at",
    "know": "Good to know",
}
_STYLES = {"put right": "bold red", "look at": "bold yellow", "know": "bold"}
_CLASSES = 12


def json_text(audit: Audit) -> str:
    """Return the numbers and sentences of an audit, without its tables, as JSON."""
    source = audit.source
    content = {
        "dataset": source.name,
        "root": source.root,
        "images": len(audit.images),
        "classes": len(audit.counts),
        "split_error": source.split_error or None,
        "counts": {
            str(label): {str(split): int(count) for split, count in row.items()}
            for label, row in audit.counts.iterrows()
        },
        "sizes": size_facts(audit.images),
        "network_size_px": source.size_px,
        "unreadable": len(source.unreadable),
        "identical_sets": int(audit.duplicates["set"].nunique()),
        "identical_copies": len(audit.duplicates) - audit.duplicates["set"].nunique(),
        "near_duplicate_pairs": len(audit.near_table),
        "pairs_with_different_labels": int(audit.pairs["labels_differ"].sum()),
        "look_alikes": source.near.candidates,
        "look_alikes_compared": source.near.looked_at,
        "also_in_train": audit.leaks,
        "group_also_in_train": audit.groups_shared,
        "left_out": {name: int(count) for name, count in source.findings.items()},
        "issues": [
            {"weight": issue.weight, "what": issue.what, "todo": issue.todo}
            for issue in issues(audit)
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def summary(audit: Audit) -> str:
    """Return the name, the number of images and classes, and the splits in a line."""
    parts = ", ".join(f"{count:,} {name}" for name, count in audit.counts.sum().items())
    line = f"{audit.source.name}: {len(audit.images):,} images in {len(audit.counts)}"
    return f"{line} classes" + (f" ({parts})" if "train" in audit.counts else "")


def show(audit: Audit, page: str, command: str) -> None:
    """Print what was found, the most important first, its page and what to run next."""
    console = Console(highlight=False, soft_wrap=False)
    # Names come from files, and what looks like markup in them is none.
    console.print(Text(summary(audit), "bold"))
    console.print(Text(audit.source.root, "dim"), overflow="fold")
    found = issues(audit)
    for weight in WEIGHTS:
        chosen = [issue for issue in found if issue.weight == weight]
        if chosen:
            console.print(Text(f"\n{HEADINGS[weight]}", _STYLES[weight]))
        for issue in chosen:
            lines = Table.grid(padding=(0, 1))
            lines.add_row("  -", Text(issue.what))
            if issue.todo:
                lines.add_row("", Text(issue.todo, "cyan"))
            console.print(lines)
    if not any(issue.weight != "know" for issue in found):
        console.print(Text("\nNothing is to be put right.", "bold green"))
    console.print()
    console.print(_class_table(audit.counts))
    facts = size_facts(audit.images)
    sizes = (
        f"\nSizes: {facts['smallest']} px the smallest, {facts['median']} the median, "
        f"{facts['largest']} the largest; the network gets {audit.source.size_px} px."
    )
    console.print(Text(sizes))
    console.print(Text(f"\nPage: {page}"), soft_wrap=True)
    if command:
        console.print(Text(f"Next: {command}"), soft_wrap=True)


def largest_first(counts: pd.DataFrame) -> pd.DataFrame:
    """Order classes by their number of images over all splits."""
    total = counts.sum(axis=1).sort_values(ascending=False, kind="stable")
    return counts.loc[total.index]


def _class_table(counts: pd.DataFrame) -> Table:
    """The largest classes and the smallest one."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("class", overflow="ellipsis", no_wrap=True, max_width=30)
    for name in counts.columns:
        table.add_column(str(name), justify="right")
    hidden = len(counts) - _CLASSES
    for place, (label, row) in enumerate(largest_first(counts).iterrows(), 1):
        if place < _CLASSES or place == len(counts):
            table.add_row(Text(str(label)), *(f"{count:,}" for count in row))
        elif place == _CLASSES:
            table.add_row(f"... {hidden} more ...")
    return table

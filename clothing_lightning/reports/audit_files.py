"""The files that an audit leaves in a folder."""

from contextlib import suppress
from pathlib import Path

from clothing_lightning.data.audit_types import Audit
from clothing_lightning.errors import StorageError
from clothing_lightning.reports.audit_page import audit_page
from clothing_lightning.reports.audit_text import json_text

REPORT = "audit.json"


def write_audit(audit: Audit, folder: Path, command: str) -> Path:
    """Write the page and the tables, and a file for corrections if there is none yet.

    Args:
        audit: The audit to write down.
        folder: The folder of the files; it is made if need be.
        command: What to run next, as the page tells it.

    Returns:
        The path of the page.

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

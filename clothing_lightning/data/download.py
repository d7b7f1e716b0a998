"""Fetching a file, checked before it gets its name.

It is written as ``name.part`` and renamed at the end, so that what has the final name
is whole.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, cast
from urllib import request
from urllib.error import HTTPError

from clothing_lightning.data.progress import with_progress
from clothing_lightning.data.unpacking import extract
from clothing_lightning.errors import DownloadError, StorageError, UserError

__all__ = ["Archive", "download", "extract"]

_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class Archive:
    """A file on a server.

    Attributes:
        url: Its address, http or https.
        sha256: Of its content, in hexadecimal; None if its publisher may change it.
        filename: Its name on disk.
    """

    url: str
    sha256: str | None
    filename: str

    def fetch(self, folder: Path) -> Path:
        """Download to a folder what is not there yet; see ``download``."""
        return download(self.url, folder / self.filename, sha256=self.sha256)


def download(
    url: str, destination: Path, *, sha256: str | None, timeout_s: float = 30
) -> Path:
    """Fetch a file, unless it is there.

    A file that is there is checked first, by SHA-256, or where none is known by the
    size that the server tells. It is never replaced.

    Args:
        url: Address, http or https.
        destination: The file to write; folders above it are made.
        sha256: What its content must hash to, in hexadecimal.
        timeout_s: Longest silence of the server.

    Returns:
        The destination.

    Raises:
        DownloadError: If the server cannot be reached or breaks off, or the file is
            not the expected one. What was fetched is removed.
        StorageError: If the file cannot be read or written.
    """
    if not url.startswith(("http://", "https://")):
        raise DownloadError(
            f"{url}: the address has to start with http:// or https://."
        )
    part = destination.with_name(destination.name + ".part")
    try:
        if destination.exists():
            _check_present(url, destination, sha256, timeout_s)
        else:
            destination.parent.mkdir(parents=True, exist_ok=True)
            actual = _fetch(url, part, timeout_s)
            _check_fetched(url, actual, sha256)
            part.replace(destination)
    except UserError:
        raise
    except OSError as err:
        raise StorageError(
            f"{destination}: cannot be read or written ({err})."
        ) from err
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return destination


def _check_fetched(url: str, actual: str, sha256: str | None) -> None:
    if sha256 is not None and actual != sha256.lower():
        raise DownloadError(
            f"{url}: SHA-256 is {actual}, expected {sha256}. The file was removed; run "
            "again to download it. If it comes out the same, its publisher has "
            "changed it."
        )


def _check_present(url: str, file: Path, sha256: str | None, timeout_s: float) -> None:
    """Compare a file on disk with what is to be downloaded."""
    if not file.is_file():
        raise DownloadError(f"{file}: is no file. Move it away and run again.")
    if sha256 is not None:
        what, expected = "SHA-256", sha256.lower()
        with file.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    else:
        with _response(url, timeout_s) as response:
            what, expected = "size in bytes", str(response.length or "unknown")
        found = str(file.stat().st_size)
    if found != expected:
        raise DownloadError(
            f"{file}: {what} is {found}, expected {expected}. Move the file away and "
            f"run again to download it from {url}."
        )


@contextmanager
def _response(url: str, timeout_s: float) -> Iterator[HTTPResponse]:
    """Ask for a file; whatever goes wrong with the server is a DownloadError."""
    opener = request.OpenerDirector()
    # urllib's own choice would follow a redirection to ftp as well.
    for handler in (
        request.ProxyHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.HTTPRedirectHandler(),
        request.HTTPErrorProcessor(),
        request.HTTPDefaultErrorHandler(),
        request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    # Some servers turn urllib's own name away.
    opener.addheaders = [("User-Agent", "clothing_lightning")]
    try:
        with cast(HTTPResponse, opener.open(url, timeout=timeout_s)) as response:
            yield response
    except HTTPError as err:
        err.close()
        raise DownloadError(
            f"{url}: the server answers {err.code} {err.reason}. Check the address, or "
            "download the file by hand."
        ) from err
    except UserError:
        raise
    except (OSError, HTTPException, ValueError) as err:
        reason = getattr(err, "reason", None) or err
        raise DownloadError(
            f"{url}: the transfer failed ({reason}). Check the address and the "
            "connection, then run again."
        ) from err


def _fetch(url: str, part: Path, timeout_s: float) -> str:
    """Write what the server sends; return its SHA-256."""
    digest = hashlib.sha256()
    with part.open("wb") as file, _response(url, timeout_s) as response:
        expected = response.length
        chunks = iter(lambda: response.read(_CHUNK_BYTES), b"")
        for chunk in with_progress(chunks, part.stem, total=expected, size=len):
            digest.update(chunk)
            _write(file, chunk)
        received = file.tell()
    if expected is not None and received != expected:
        raise DownloadError(
            f"{url}: the transfer broke off after {received:,} of {expected:,} bytes. "
            "What had arrived was removed; run again."
        )
    return digest.hexdigest()


def _write(file: IO[bytes], chunk: bytes) -> None:
    try:
        file.write(chunk)
    except OSError as err:
        raise StorageError(
            f"{file.name}: cannot be written ({err.strerror}). Make room and run again."
        ) from err

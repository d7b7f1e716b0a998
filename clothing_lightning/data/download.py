"""Fetching a file, checked before it gets its name.

A file is written as ``name.part`` and renamed at the end, so that what has the final
name is whole.
"""

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import IO, cast
from urllib import request
from urllib.error import HTTPError

from clothing_lightning.data.progress import with_progress
from clothing_lightning.errors import DownloadError, StorageError, UserError

_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class Archive:
    """A file on a server.

    Attributes:
        url: The address, http or https.
        sha256: The checksum of the content, in hexadecimal; None for a zip archive
            that its publisher may change.
        filename: The name of the file on disk.
        max_bytes: The most that the file may hold; a larger one is not fetched.
    """

    url: str
    sha256: str | None
    filename: str
    max_bytes: int

    def fetch(self, folder: Path, *, timeout_s: float = 30) -> Path:
        """Download the file into a folder, unless it is there.

        A file that is there is checked as a fetched one is, and never replaced: by
        its checksum; where none is known, by the size that the server tells, if it
        tells one, and by being a zip archive, whose end holds its directory.

        Args:
            folder: The folder to write to; it is made if need be.
            timeout_s: The longest silence of the server that is waited for.

        Returns:
            The path of the file.

        Raises:
            DownloadError: If the server cannot be reached or breaks off, or the file
                is too large or not the expected one. What was fetched is removed.
            StorageError: If the file cannot be read or written.
        """
        if not self.url.startswith(("http://", "https://")):
            raise DownloadError(
                f"{self.url}: the address has to start with http:// or https://."
            )
        file = folder / self.filename
        part = folder / f"{self.filename}.part"
        try:
            if file.exists():
                self._check_present(file, timeout_s)
            else:
                folder.mkdir(parents=True, exist_ok=True)
                self._receive(part, timeout_s)
                part.replace(file)
        except UserError:
            raise
        except OSError as err:
            raise StorageError(f"{file}: cannot be read or written ({err}).") from err
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        return file

    def _check_present(self, file: Path, timeout_s: float) -> None:
        if not file.is_file():
            raise DownloadError(f"{file}: is no file. Move it away and run again.")
        size = None
        if self.sha256 is None:
            with _response(self.url, timeout_s) as response:
                size = response.length
        if problem := self._problem(file, size):
            raise DownloadError(
                f"{file}: {problem}. Move the file away and run again to download it "
                f"from {self.url}."
            )

    def _problem(self, file: Path, size: int | None) -> str:
        """What shows that a file is not the expected one; empty if nothing does."""
        if self.sha256 is not None:
            with file.open("rb") as content:
                actual = hashlib.file_digest(content, "sha256").hexdigest()
            if actual != self.sha256.lower():
                return f"SHA-256 is {actual}, expected {self.sha256}"
        elif size is not None and (actual_size := file.stat().st_size) != size:
            return f"size in bytes is {actual_size}, expected {size}"
        elif not zipfile.is_zipfile(file):
            return "is no zip archive, or was cut short"
        return ""

    def _receive(self, part: Path, timeout_s: float) -> None:
        """Write what the server sends, and check it."""
        received = 0
        with part.open("wb") as file, _response(self.url, timeout_s) as response:
            size = response.length
            self._check_size(size or 0)
            chunks = iter(lambda: response.read(_CHUNK_BYTES), b"")
            for chunk in with_progress(chunks, part.stem, total=size, size=len):
                received += len(chunk)
                self._check_size(received)
                _write(file, chunk)
        if size is not None and received != size:
            raise DownloadError(
                f"{self.url}: the transfer broke off after {received:,} of {size:,} "
                "bytes. What had arrived was removed; run again."
            )
        if problem := self._problem(part, size):
            raise DownloadError(
                f"{self.url}: {problem}. The file was removed; run again to download "
                "it. If it comes out the same, its publisher has changed it."
            )

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            raise DownloadError(
                f"{self.url}: is larger than the {self.max_bytes:,} bytes that were "
                "expected at most, and was not kept. Check the address, or download "
                "the file by hand."
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
            if response.status != 200 or response.headers["Content-Encoding"]:
                raise DownloadError(
                    f"{url}: the server answers with {response.status} and not with "
                    "the file itself. Download it by hand."
                )
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
        broke_off = isinstance(err, IncompleteRead)
        reason = "it broke off" if broke_off else getattr(err, "reason", None) or err
        raise DownloadError(
            f"{url}: the transfer failed ({reason}). Check the address and the "
            "connection, then run again."
        ) from err


def _write(file: IO[bytes], chunk: bytes) -> None:
    try:
        file.write(chunk)
    except OSError as err:
        raise StorageError(
            f"{file.name}: cannot be written ({err.strerror}). Make room and run again."
        ) from err

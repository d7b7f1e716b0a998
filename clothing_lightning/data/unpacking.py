"""Unpacking an archive without trust in what it holds.

It is unpacked into ``folder.part``, renamed at the end, so that half an archive is
never taken for a whole one.
"""

import gzip
import lzma
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, cast

from clothing_lightning.errors import DownloadError, StorageError, UserError

_CHUNK_BYTES = 1 << 18
_ZIP_MAGIC = (b"PK\3\4", b"PK\5\6")
_GZIP_MAGIC = b"\x1f\x8b"

# What a tar file holds beside its files: at most this for each member and in all.
_TAR_MEMBER_BYTES = 1 << 14
_TAR_SLACK_BYTES = 1 << 20

# What damaged or hostile archives make the readers raise. RuntimeError includes a
# password, an unknown compression, and headers that refer to headers without end.
_DAMAGE = (
    EOFError,
    RuntimeError,
    ValueError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


def extract(archive: Path, folder: Path, *, max_bytes: int, max_files: int) -> None:
    """Unpack a zip or tar(.gz) archive into a new folder.

    Only files and folders are unpacked, with the permissions of new files. Members
    are counted and measured while they are unpacked, whatever their headers say.

    Args:
        archive: The archive, whose kind is told by its content.
        folder: The folder to make, which must not exist yet.
        max_bytes: The most bytes that all files may hold together.
        max_files: The most members, folders included.

    Raises:
        DownloadError: If the folder exists, or the archive is missing or damaged,
            exceeds a bound, or holds a link, a device or a path that leads
            elsewhere. Nothing of it remains.
        StorageError: If a file cannot be written.
    """
    if folder.exists() or folder.is_symlink():
        raise DownloadError(
            f"{folder}: exists, so {archive} is not unpacked there. Move it away and "
            "run again."
        )
    if not archive.is_file():
        raise DownloadError(f"{archive}: there is no such file to unpack.")
    part = folder.with_name(folder.name + ".part")
    try:
        if part.exists():
            # An earlier run was killed here.
            shutil.rmtree(part)
        part.mkdir(parents=True)
        _unpack(archive, part, max_bytes, max_files)
        part.rename(folder)
    except UserError:
        raise
    except _DAMAGE as err:
        raise DownloadError(
            f"{archive}: is no zip or tar(.gz) archive, or damaged ({err}). Remove it "
            "and run again to download it."
        ) from err
    except OSError as err:
        raise StorageError(f"{folder}: cannot be written ({err}).") from err
    finally:
        shutil.rmtree(part, ignore_errors=True)


class _Member(NamedTuple):
    """A file of an archive, or a folder if there is no content."""

    name: str
    content: IO[bytes] | None


def _unpack(archive: Path, folder: Path, max_bytes: int, max_files: int) -> None:
    bytes_left = max_bytes
    for count, member in enumerate(_members(archive, max_bytes, max_files), start=1):
        if count > max_files:
            raise DownloadError(
                f"{archive}: {member.name!r} is one member more than the {max_files:,} "
                "that were expected."
            )
        target = folder / _safe_path(archive, member.name)
        try:
            bytes_left -= _unpack_member(member, target, bytes_left)
        except (FileExistsError, NotADirectoryError) as err:
            raise DownloadError(
                f"{archive}: {member.name!r} has the name of an earlier member."
            ) from err
        if bytes_left < 0:
            raise DownloadError(
                f"{archive}: with {member.name!r} it unpacks to more than the "
                f"{max_bytes:,} bytes that were expected."
            )


def _unpack_member(member: _Member, target: Path, bytes_left: int) -> int:
    """Write a member; return its size, or more than ``bytes_left`` if it is larger."""
    if member.content is None:
        target.mkdir(parents=True, exist_ok=True)
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with member.content as content, target.open("xb") as file:
        while size <= bytes_left and (chunk := content.read(_CHUNK_BYTES)):
            size += len(chunk)
            file.write(chunk)
    return size


def _safe_path(archive: Path, name: str) -> PurePosixPath:
    """Refuse a name that could lead out of the folder, here or on Windows."""
    path = PurePosixPath(name)
    if (
        path.is_absolute()
        or re.match(r"[A-Za-z]:", name)
        or "\\" in name
        or "\0" in name
        # Windows drops dots and spaces at the end of a name: ".. " is "..".
        or any(not part.strip(". ") for part in path.parts)
    ):
        raise DownloadError(
            f"{archive}: {name!r} leads out of the folder that it is unpacked into. "
            "Do not use this archive."
        )
    return path


def _members(archive: Path, max_bytes: int, max_files: int) -> Iterator[_Member]:
    with archive.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        if head in _ZIP_MAGIC:
            yield from _zip_members(archive, file)
            return
        zipped = head.startswith(_GZIP_MAGIC)
        content = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if zipped else file
        limit = max_bytes + max_files * _TAR_MEMBER_BYTES + _TAR_SLACK_BYTES
        yield from _tar_members(archive, _TarStream(archive, content, limit))


def _zip_members(archive: Path, file: IO[bytes]) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as zipped:
        for info in zipped.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0 if not from Unix
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _link_error(archive, info.filename)
            if info.flag_bits & 1:
                raise DownloadError(
                    f"{archive}: {info.filename!r} is encrypted. Unpack it by hand."
                )
            yield _Member(info.filename, None if info.is_dir() else zipped.open(info))


def _tar_members(archive: Path, stream: "_TarStream") -> Iterator[_Member]:
    with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as tar:
        for info in tar:
            if not (info.isfile() or info.isdir()):
                raise _link_error(archive, info.name)
            yield _Member(info.name, tar.extractfile(info))
        # tarfile takes a broken header, or none, for the end of the archive.
        if not stream.is_blank_at(tar.offset):
            raise tarfile.ReadError(f"broken after {tar.offset} bytes")
    while stream.read(_CHUNK_BYTES):
        pass  # gzip's checksum comes after the padding


def _link_error(archive: Path, name: str) -> DownloadError:
    return DownloadError(
        f"{archive}: {name!r} is a link or device; only files and folders are "
        "unpacked. Do not use this archive."
    )


class _TarStream:
    """The decompressed content of a tar file, up to a limit.

    Headers of a tar file have no bound of their own and are held in memory.
    """

    def __init__(self, archive: Path, file: IO[bytes], limit: int) -> None:
        self.archive, self.file, self.limit = archive, file, limit
        self.position = 0
        self.last = b""

    def read(self, size: int) -> bytes:
        self.last = self.file.read(size)
        self.position += len(self.last)
        if self.position > self.limit:
            raise DownloadError(
                f"{self.archive}: the headers of its members are larger than any "
                "archive needs. Do not use it."
            )
        return self.last

    def is_blank_at(self, offset: int) -> bool:
        """Whether the block that was read last, at this offset, is the end marker."""
        start = offset - (self.position - len(self.last))
        return self.last[start : start + tarfile.BLOCKSIZE] == bytes(tarfile.BLOCKSIZE)

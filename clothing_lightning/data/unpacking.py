"""Unpacking a zip archive without trust in what it holds."""

import re
import shutil
import stat
import struct
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path, PurePosixPath

from clothing_lightning.errors import DownloadError, StorageError, UserError

# What damaged or hostile archives make zipfile raise. RuntimeError includes a password
# and an unknown compression.
_DAMAGE = (
    EOFError,
    RuntimeError,
    ValueError,
    LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def extract(archive: Path, folder: Path, *, max_bytes: int, max_files: int) -> None:
    """Unpack a zip archive into a new folder; after an error a part of it is there.

    Only files and folders are unpacked, with the permissions of new files. Of a member
    zipfile reads no more bytes than the header says, which are therefore counted.

    Args:
        archive: The archive.
        folder: The folder to make, which must not exist yet.
        max_bytes: The most bytes that all files may hold together.
        max_files: The most members, folders included.

    Raises:
        DownloadError: If the archive is damaged, exceeds a bound, or holds a link, a
            device or a path that leads elsewhere.
        StorageError: If the folder exists, or a file cannot be written.
    """
    try:
        folder.mkdir(parents=True)
        with zipfile.ZipFile(archive) as zipped:
            size = 0
            for count, member in enumerate(zipped.infolist(), start=1):
                size += member.file_size
                if count > max_files:
                    raise DownloadError(
                        f"{archive}: {member.filename!r} is one member more than the "
                        f"{max_files:,} that were expected."
                    )
                if size > max_bytes:
                    raise DownloadError(
                        f"{archive}: with {member.filename!r} it unpacks to more than "
                        f"the {max_bytes:,} bytes that were expected."
                    )
                _check_member(archive, member)
                _unpack(zipped, member, folder / member.filename)
    except UserError:
        raise
    except _DAMAGE as err:
        raise DownloadError(
            f"{archive}: is no zip archive, or damaged ({err}). Remove it and run "
            "again to download it."
        ) from err
    except OSError as err:
        raise StorageError(f"{folder}: cannot be written ({err}).") from err


def _check_member(archive: Path, member: zipfile.ZipInfo) -> None:
    """Refuse what is no file or folder, or could lead out, here or on Windows."""
    name, path = member.filename, PurePosixPath(member.filename)
    kind = stat.S_IFMT(member.external_attr >> 16)  # 0 if not from Unix
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DownloadError(
            f"{archive}: {name!r} is a link or device; only files and folders are "
            "unpacked. Do not use this archive."
        )
    if member.flag_bits & 1:
        raise DownloadError(f"{archive}: {name!r} is encrypted. Unpack it by hand.")
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


def _unpack(zipped: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    try:
        if member.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipped.open(member) as content, target.open("xb") as file:
            shutil.copyfileobj(content, file)
    except (FileExistsError, NotADirectoryError) as err:
        raise DownloadError(
            f"{zipped.filename}: {member.filename!r} has the name of an earlier member."
        ) from err

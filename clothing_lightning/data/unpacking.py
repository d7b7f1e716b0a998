"""Unpacking a zip archive without trust in what it holds."""

import re
import stat
import struct
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path, PurePosixPath

from clothing_lightning.errors import DownloadError, StorageError, UserError

_CHUNK_BYTES = 1 << 18

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

    Only files and folders are unpacked, with the permissions of new files. Members
    are measured while they are unpacked, whatever their headers say.

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
            members = zipped.infolist()
            if len(members) > max_files:
                raise DownloadError(
                    f"{archive}: {members[max_files].filename!r} is one member more "
                    f"than the {max_files:,} that were expected."
                )
            bytes_left = max_bytes
            for member in members:
                _check_member(archive, member)
                bytes_left -= _unpack(zipped, member, folder, bytes_left)
                if bytes_left < 0:
                    raise DownloadError(
                        f"{archive}: with {member.filename!r} it unpacks to more than "
                        f"the {max_bytes:,} bytes that were expected."
                    )
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


def _unpack(
    zipped: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, bytes_left: int
) -> int:
    """Write a member; return its size, or more than ``bytes_left`` if it is larger."""
    target = folder / member.filename
    size = 0
    try:
        if member.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            return 0
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipped.open(member) as content, target.open("xb") as file:
            while size <= bytes_left and (chunk := content.read(_CHUNK_BYTES)):
                size += len(chunk)
                file.write(chunk)
    except (FileExistsError, NotADirectoryError) as err:
        raise DownloadError(
            f"{zipped.filename}: {member.filename!r} has the name of an earlier member."
        ) from err
    return size

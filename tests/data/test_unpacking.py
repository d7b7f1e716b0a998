import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from clothing_lightning.data.unpacking import extract
from clothing_lightning.errors import DownloadError, StorageError, UserError

ROOM = 1_000_000
MEMBERS = {"images/a.jpg": b"first", "images/b/c.jpg": b"second", "table.csv": b""}


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def make(path: Path, members: dict[str, bytes]) -> Path:
    return (make_zip if path.suffix == ".zip" else make_tar)(path, members)


def refuse(archive: Path, match: str, *, max_bytes: int = ROOM) -> None:
    """Expect an error that names the archive, and nothing left in the folder."""
    before = set(archive.parent.rglob("*"))
    with pytest.raises(DownloadError, match=match) as caught:
        extract(archive, archive.parent / "out", max_bytes=max_bytes, max_files=10)
    assert str(archive) in str(caught.value)
    assert set(archive.parent.rglob("*")) == before


every_kind = pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])


@every_kind
def test_unpacks_files_and_folders(tmp_path: Path, name: str) -> None:
    archive = make(tmp_path / name, MEMBERS)
    extract(archive, tmp_path / "new" / "out", max_bytes=11, max_files=3)
    for member, content in MEMBERS.items():
        assert (tmp_path / "new" / "out" / member).read_bytes() == content
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


def test_unpacks_folders_written_as_members(tmp_path: Path) -> None:
    make_zip(tmp_path / "a.zip", {"empty/": b"", "empty/a.txt": b"1"})
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in (".", "./empty"):
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
    extract(tmp_path / "a.zip", tmp_path / "zip", max_bytes=1, max_files=2)
    extract(tmp_path / "a.tar", tmp_path / "tar", max_bytes=1, max_files=2)
    assert (tmp_path / "zip" / "empty" / "a.txt").read_bytes() == b"1"
    assert (tmp_path / "tar" / "empty").is_dir()


def test_files_get_the_permissions_of_new_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("tool")
        info.mode = 0o4777
        archive.addfile(info)
    extract(tmp_path / "a.tar", tmp_path / "out", max_bytes=1, max_files=1)
    assert (tmp_path / "out" / "tool").stat().st_mode & 0o4111 == 0


@pytest.mark.parametrize(
    "member",
    [
        "../evil",
        "a/../../evil",
        "/evil",
        "..",
        "C:/evil",
        "C:evil",
        "..\\evil",
        "\\evil",
        ".. /evil",
    ],
)
@every_kind
def test_path_out_of_the_folder_is_refused(
    tmp_path: Path, name: str, member: str
) -> None:
    archive = make(tmp_path / name, {"good": b"1", member: b"2"})
    refuse(archive, r"evil' leads out|'\.\.' leads out")


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        b"?",
    ],
)
def test_link_device_or_unknown_in_a_tar_is_refused(
    tmp_path: Path, kind: bytes
) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("good"))
        info = tarfile.TarInfo("evil")
        info.type, info.linkname = kind, "good"
        archive.addfile(info)
    refuse(tmp_path / "a.tar", "'evil' is a link or device")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_link_or_device_in_a_zip_is_refused(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("evil")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    refuse(tmp_path / "a.zip", "'evil' is a link or device")


@every_kind
def test_bomb_is_stopped_by_what_is_written(tmp_path: Path, name: str) -> None:
    archive = make(tmp_path / name, {"good": b"1", "bomb": bytes(20 * ROOM)})
    refuse(archive, "with 'bomb' it unpacks to more than the 1,000,000 bytes")
    archive = make(tmp_path / name, {"a": b"12", "b": b"34"})
    refuse(archive, "with 'b' it unpacks to more than the 3 bytes", max_bytes=3)


def test_bomb_with_a_lying_header_is_stopped(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"bomb": bytes(20 * ROOM)})
    size = (20 * ROOM).to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(size, b"\x01\0\0\0"))
    refuse(archive, "bomb|damaged")


def test_bomb_of_tar_headers_is_stopped(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 32
    with gzip.open(tmp_path / "a.tar.gz", "wb", compresslevel=1) as archive:
        archive.write(header.tobuf() + bytes(10 * ROOM))
    refuse(tmp_path / "a.tar.gz", "headers of its members are larger")


def test_endless_tar_headers_are_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type = tarfile.XHDTYPE
    (tmp_path / "a.tar").write_bytes(header.tobuf() * 5000)
    refuse(tmp_path / "a.tar", r"damaged")


@every_kind
def test_too_many_members_are_refused(tmp_path: Path, name: str) -> None:
    archive = make(tmp_path / name, {f"{i}.jpg": b"" for i in range(11)})
    refuse(archive, r"'10\.jpg' is one member more than the 10")


@pytest.mark.parametrize("members", [["a", "./a"], ["a", "a/b"], ["a/b", "a"]], ids=str)
@every_kind
def test_member_does_not_replace_another(
    tmp_path: Path, name: str, members: list[str]
) -> None:
    archive = make(tmp_path / name, dict.fromkeys(members, b"1"))
    refuse(archive, f"'{members[1]}' has the name of an earlier member")


@every_kind
def test_truncated_archive_is_refused(tmp_path: Path, name: str) -> None:
    archive = make(tmp_path / name, {"a": bytes(5000), "b": bytes(range(256)) * 40})
    archive.write_bytes(archive.read_bytes()[:-10] if name != "a.tar" else b"no tar")
    refuse(archive, "is no zip or tar.* or damaged .* run again")


@pytest.mark.parametrize("size", [100, 600, 5632, 6000, 6144, 10000, 16384, 16500])
def test_truncated_tar_is_refused_wherever_it_is_cut(tmp_path: Path, size: int) -> None:
    # Headers lie at 0 and 5632, the end marker at 16384.
    archive = make_tar(tmp_path / "a.tar", {"a": bytes(5000), "b": bytes(10240)})
    archive.write_bytes(archive.read_bytes()[:size])
    refuse(archive, "damaged")


def test_tar_with_a_broken_header_is_refused(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar", {"a": b"1", "b": b"2", "c": b"3"})
    content = bytearray(archive.read_bytes())
    content[1024 + 100] ^= 255
    archive.write_bytes(content)
    refuse(archive, "damaged .broken after 1024 bytes")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_changed_content_is_noticed_by_its_checksum(tmp_path: Path, name: str) -> None:
    path, content = tmp_path / name, b"jpegs are stored as they are"
    if name == "a.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a", content)
    else:
        make_tar(tmp_path / "a.tar", {"a": content})
        tar = (tmp_path / "a.tar").read_bytes()
        path.write_bytes(gzip.compress(tar, compresslevel=0))
    path.write_bytes(path.read_bytes().replace(b"stored", b"STORED"))
    refuse(path, r"damaged \(.*CRC")


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"PK\3\4 no zip"])
def test_other_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    refuse(tmp_path / "a.zip", "is no zip or tar")


def test_encrypted_archive_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a": b"1"})
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(content)
    refuse(archive, "'a' is encrypted")


def test_missing_archive_is_named(tmp_path: Path) -> None:
    refuse(tmp_path / "a.zip", "there is no such file")


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_what_exists_is_not_overwritten(tmp_path: Path, kind: str) -> None:
    archive, out = make_zip(tmp_path / "a.zip", MEMBERS), tmp_path / "out"
    if kind == "folder":
        out.mkdir()
    elif kind == "file":
        out.write_text("mine")
    else:
        out.symlink_to("nowhere")
    refuse(archive, "out: exists, so .* is not unpacked there")


def test_rest_of_a_killed_run_is_replaced(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", MEMBERS)
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "half.jpg").touch()
    extract(archive, tmp_path / "out", max_bytes=ROOM, max_files=10)
    assert not (tmp_path / "out" / "half.jpg").exists()
    assert not (tmp_path / "out.part").exists()


def test_unwritable_place_is_an_error_of_storage(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", MEMBERS)
    with pytest.raises(StorageError, match=r"out: cannot be written") as caught:
        extract(archive, archive / "out", max_bytes=ROOM, max_files=10)
    assert isinstance(caught.value, UserError)

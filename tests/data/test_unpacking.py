import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from clothing_lightning.data.unpacking import extract
from clothing_lightning.errors import DownloadError, StorageError

ROOM = 1_000_000
MEMBERS = {"images/a.jpg": b"first", "images/b/c.jpg": b"second", "table.csv": b""}


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def refuse(archive: Path, match: str, *, max_bytes: int = ROOM) -> None:
    """Expect an error that names the archive, and nothing outside of the folder."""
    out = archive.parent / "out"
    before = set(archive.parent.rglob("*"))
    with pytest.raises(DownloadError, match=match) as caught:
        extract(archive, out, max_bytes=max_bytes, max_files=10)
    assert str(archive) in str(caught.value)
    shutil.rmtree(out)
    assert set(archive.parent.rglob("*")) == before


def test_unpacks_files_and_folders(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", MEMBERS)
    extract(archive, tmp_path / "new" / "out", max_bytes=11, max_files=3)
    for member, content in MEMBERS.items():
        assert (tmp_path / "new" / "out" / member).read_bytes() == content
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


def test_unpacks_folders_written_as_members(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"empty/": b"", "empty/a.txt": b"1"})
    extract(archive, tmp_path / "out", max_bytes=1, max_files=2)
    assert (tmp_path / "out" / "empty" / "a.txt").read_bytes() == b"1"


def test_files_get_the_permissions_of_new_files(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("tool")
    info.external_attr = (stat.S_IFREG | 0o4777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, b"1")
    extract(tmp_path / "a.zip", tmp_path / "out", max_bytes=1, max_files=1)
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
def test_path_out_of_the_folder_is_refused(tmp_path: Path, member: str) -> None:
    archive = make_zip(tmp_path / "a.zip", {"good": b"1", member: b"2"})
    refuse(archive, r"evil' leads out|'\.\.' leads out")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_link_or_device_in_a_zip_is_refused(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("evil")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    refuse(tmp_path / "a.zip", "'evil' is a link or device")


def test_bomb_is_stopped_by_what_is_written(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"good": b"1", "bomb": bytes(20 * ROOM)})
    refuse(archive, "with 'bomb' it unpacks to more than the 1,000,000 bytes")
    archive = make_zip(tmp_path / "a.zip", {"a": b"12", "b": b"34"})
    refuse(archive, "with 'b' it unpacks to more than the 3 bytes", max_bytes=3)


def test_bomb_with_a_lying_header_is_stopped(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"bomb": bytes(20 * ROOM)})
    size = (20 * ROOM).to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(size, b"\x01\0\0\0"))
    refuse(archive, "bomb|damaged")


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {f"{i}.jpg": b"" for i in range(11)})
    refuse(archive, r"'10\.jpg' is one member more than the 10")


@pytest.mark.parametrize("members", [["a", "./a"], ["a", "a/b"], ["a/b", "a"]], ids=str)
def test_member_does_not_replace_another(tmp_path: Path, members: list[str]) -> None:
    archive = make_zip(tmp_path / "a.zip", dict.fromkeys(members, b"1"))
    refuse(archive, f"'{members[1]}' has the name of an earlier member")


def test_truncated_archive_is_refused(tmp_path: Path) -> None:
    archive = make_zip(
        tmp_path / "a.zip", {"a": bytes(5000), "b": bytes(range(256)) * 40}
    )
    archive.write_bytes(archive.read_bytes()[:-10])
    refuse(archive, "is no zip archive, or damaged .* run again")


def test_changed_content_is_noticed_by_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"jpegs are stored as they are")
    path.write_bytes(path.read_bytes().replace(b"stored", b"STORED"))
    refuse(path, r"damaged \(.*CRC")


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"PK\3\4 no zip"])
def test_other_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    refuse(tmp_path / "a.zip", "is no zip archive")


def test_encrypted_archive_is_refused(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a": b"1"})
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(content)
    refuse(archive, "'a' is encrypted")


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_what_exists_is_not_overwritten(tmp_path: Path, kind: str) -> None:
    archive, out = make_zip(tmp_path / "a.zip", MEMBERS), tmp_path / "out"
    if kind == "folder":
        out.mkdir()
    elif kind == "file":
        out.write_text("mine")
    else:
        out.symlink_to("nowhere")
    with pytest.raises(StorageError, match=r"out: cannot be written .*exists"):
        extract(archive, out, max_bytes=ROOM, max_files=10)
    assert out.is_symlink() or out.is_file() or not list(out.iterdir())


def test_unwritable_place_is_an_error_of_storage(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", MEMBERS)
    with pytest.raises(StorageError, match=r"out: cannot be written"):
        extract(archive, archive / "out", max_bytes=ROOM, max_files=10)

"""Pushing, by the hub's real client, to a stand-in on this machine."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from huggingface_hub import constants

from clothing_lightning.compression.formats import FORMATS
from clothing_lightning.compression.hub import HubRepository
from clothing_lightning.data.options import Preprocessing
from clothing_lightning.errors import ConfigError, StorageError
from tests.compression.networks import NAMES, random_network
from tests.hub_server import Hub, Repository, hub

__all__ = ["hub"]

# The hub's client calls its own transport in a way that is to go.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

CARD = b"---\ntags:\n- clothing_lightning\n---\n# Ours\n"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name, content in (("README.md", CARD), ("model.onnx", b"weights")):
        (tmp_path / name).write_bytes(content)
    return sorted(tmp_path.iterdir())


def pushed(repository: HubRepository, files: list[Path]) -> str:
    repository.require()
    return repository.push(files, "Export net")


@pytest.mark.parametrize("private", [True, False])
def test_a_repository_is_made_and_holds_the_files(
    private: bool, hub: Hub, files: list[Path]
) -> None:
    url = pushed(HubRepository("anna/clothes", private), files)
    assert url == f"{hub.url}/anna/clothes"
    assert hub.repositories == {
        "anna/clothes": Repository(
            private, {"README.md": CARD, "model.onnx": b"weights"}, ["Export net"]
        )
    }


def test_an_earlier_export_is_replaced_and_others_files_stay(
    hub: Hub, files: list[Path]
) -> None:
    before = {"README.md": CARD, "model.onnx": b"old", "notes.txt": b"mine"}
    other_format = {"model.safetensors": b"old", "config.json": b"{}"}
    hub.repositories["anna/clothes"] = Repository(True, before | other_format)
    pushed(HubRepository("anna/clothes", private=True), files)
    after = hub.repositories["anna/clothes"].files
    assert after == before | {"model.onnx": b"weights"}


def test_timm_loads_what_was_pushed(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_network(Preprocessing(32))
    folder = tmp_path / "export"
    folder.mkdir()
    FORMATS["safetensors"].write(model, folder)
    pushed(HubRepository("anna/clothes"), sorted(folder.iterdir()))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    network: Any = timm.create_model("hf-hub:anna/clothes", pretrained=True).eval()
    assert network.pretrained_cfg["label_names"] == NAMES
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(network(images), model.network(images))


@pytest.mark.parametrize(
    "files", [{"README.md": b"---\ntags:\n- timm\n---\n"}, {"model.safetensors": b""}]
)
def test_a_repository_of_others_is_left_alone(
    hub: Hub, files: dict[str, bytes]
) -> None:
    hub.repositories["anna/net"] = Repository(False, files)
    with pytest.raises(ConfigError, match=r"and holds no export\. Name a new"):
        HubRepository("anna/net").require()


def test_what_everybody_sees_is_not_taken_for_private(hub: Hub) -> None:
    hub.repositories["anna/net"] = Repository(private=False)
    with pytest.raises(ConfigError, match=r"^--private: .* everybody sees it\. Make"):
        HubRepository("anna/net", private=True).require()


def test_a_token_is_needed_and_has_to_be_right(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(ConfigError, match=r"the token is refused\. Set HF_TOKEN to"):
        HubRepository("anna/net").require()
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"there is no token\. Set HF_TOKEN to one"):
        HubRepository("anna/net").require()


def test_a_place_of_others_is_told(hub: Hub, files: list[Path]) -> None:
    with pytest.raises(ConfigError, match="this token may not write to 'bob/net'"):
        pushed(HubRepository("bob/net"), files)
    assert hub.repositories == {}


def test_no_connection_is_told(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match=r"'anna/net' cannot be written at http://"):
        HubRepository("anna/net").require()


@pytest.mark.parametrize(
    "name", ["clothes", "a/b c", "../a/b", "a/..", "a/b/c", "", "a/b-", "a/b.git"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"is not the name of a repository\. Write"):
        HubRepository(name)

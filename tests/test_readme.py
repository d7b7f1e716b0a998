"""Every command in the README is run; `fit` on tiny data and with a tiny network.

The targets of make are looked up: CI itself runs them. The test of the MLflow UI starts
the server.
"""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from clothing_lightning import (
    analyze,
    compare,
    compress,
    evaluate,
    export,
    fit,
    predict,
    prepare,
)
from clothing_lightning.tracking.store import where_to_browse

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LABELS = {"Dress": 20, "Hat": 20, "Shirt": 30}
TINY = """
data: {init_args: {image_size: 32, train_image_size: 32, batch_size: 4, num_workers: 0}}
model: {init_args: {backbone: test_resnet, weights: none}}
trainer: {limit_train_batches: 2, max_epochs: 1, enable_progress_bar: false}
"""


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line.partition("#")[0].strip() for line in lines if line.strip()]


FITS = [c for c in commands() if c.startswith("python -m clothing_lightning.fit ")]
ANALYSES = [c for c in commands() if c.startswith("python -m clothing_lightning.ana")]
AUDITS = [c for c in commands() if c.startswith("python -m clothing_lightning.prep")]
AFTERWARDS = {
    "compare": compare,
    "compress": compress,
    "evaluate": evaluate,
    "export": export,
    "predict": predict,
}
USES = [c for c in commands() if re.search(rf"ning\.({'|'.join(AFTERWARDS)}) ", c)]
MAKES = [c for c in commands() if c.startswith("make ")]


def test_every_command_is_run_by_one_of_these_tests(workplace: Path) -> None:
    others = {"python -m clothing_lightning", where_to_browse().partition(": ")[2]}
    others.add("python -m clothing_lightning.app efficientnet_lite0 --open")  # goes on
    assert set(commands()) - {*FITS, *ANALYSES, *AUDITS, *USES, *MAKES} <= others
    assert len(FITS) >= 5


def own_photos(root: Path, folder: Path) -> None:
    """Lay a data set out as a folder for each class, and as a table."""
    table = pd.read_csv(root / "images.csv", dtype=str)
    paths = table["label"] + "/" + table["image"] + ".jpg"
    for image, path in zip(table["image"], paths, strict=True):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / "images" / f"{image}.jpg", folder / path)
    rows = pd.DataFrame({"path": paths, "label": table["label"]})
    rows.to_csv(folder / "labels.csv", index=False)


@pytest.mark.parametrize("command", AUDITS)
def test_prepare(
    command: str, tiny_dataset: Callable[..., Path], workplace: Path
) -> None:
    own_photos(tiny_dataset(LABELS), workplace / "photos")
    assert prepare.main(shlex.split(command)[3:]) == 0
    assert (workplace / "audits" / "photos" / "index.html").is_file()


@pytest.mark.parametrize("command", FITS)
def test_fit(
    command: str,
    tiny_dataset: Callable[..., Path],
    workplace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tiny_dataset(LABELS, name="clothing-dataset", senders=12)
    monkeypatch.setenv("CLOTHING_DATA", str(tmp_path))
    own_photos(root, workplace / "photos")
    words = shlex.split(command)[3:]
    files = [str(ROOT / word) for word in words if word.endswith(".yaml")]
    assert all(Path(file).is_file() for file in files)
    options = [word for word in words if not word.endswith(".yaml")]
    if files:
        overlay = tmp_path / "tiny.yaml"
        overlay.write_text(TINY)
        files.append(str(overlay))
    if "fashion_mnist" in command:  # of which there is no tiny version
        options += ["--data=Sample", "--data.init_args.split.fraction=0.4"]
    assert fit.main([*files, *options]) == 0


def test_what_is_done_with_runs(
    tiny_dataset: Callable[..., Path], workplace: Path, tmp_path: Path
) -> None:
    own_photos(tiny_dataset(LABELS, senders=12), workplace / "photos")
    shutil.copy(next((workplace / "photos").rglob("*.jpg")), "photo.jpg")
    overlay = tmp_path / "tiny.yaml"
    overlay.write_text(TINY)
    layers = [ROOT / "experiments" / "overlays" / "image_folder.yaml", overlay]
    for name in ("efficientnet_lite0", "efficientnet_lite0_frozen"):
        files = [ROOT / "experiments" / f"{name}.yaml", *layers]
        words = [*map(str, files), "--data.init_args.root", "photos"]
        assert fit.main(words) == 0
    for command in USES:
        _, _, module, *words = shlex.split(command)
        if words[-1] == "Tee=T-Shirt":  # of which these photos have none
            words[-1] = "Dress=Hat"
        if "--abstain" in words:  # what is hardly trained reaches no accuracy
            words[-1] = "0.01"
        if "clothing-dataset" in words:  # tests of the reference runs compare those
            continue
        assert AFTERWARDS[module.rpartition(".")[2]].main(words) == 0, command


@pytest.mark.parametrize("command", ANALYSES)
def test_analyze(command: str, workplace: Path) -> None:
    words = shlex.split(command)[3:]
    assert analyze.main([*words, *(["--batch=1"] * ("--latency" in words))]) == 0
    files = [word for word in words if re.search(r"\.(png|html|csv)$", word)]
    assert all(Path(file).stat().st_size > 1000 for file in files)


@pytest.mark.parametrize("command", [*MAKES, "make test", "make smoke"])
def test_make(command: str) -> None:
    target = command.split()[1]
    assert re.search(rf"^{target}: ", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_error_that_it_shows_is_the_one_that_is_made(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = re.search(r"```text\n\$ (.*?)\n\n(error: .*?)\n```", README, re.DOTALL)
    assert found is not None
    words = shlex.split(found[1])[3:]
    words[0] = str(ROOT / words[0])
    assert fit.main(words) == 2
    assert capsys.readouterr().err.strip() == found[2]


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)h][^)]*)\)", README))))
def test_every_link_into_the_project_leads_somewhere(path: str) -> None:
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/]+\.yaml)`", README))))
def test_every_experiment_that_it_names_exists(name: str) -> None:
    assert (ROOT / "experiments" / name).is_file()
    listed = {path.name for path in (ROOT / "experiments").glob("*.yaml")}
    assert listed <= set(re.findall(r"`([\w]+\.yaml)`", README))

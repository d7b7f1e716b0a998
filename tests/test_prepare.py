"""`prepare` from its words to its files."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from clothing_lightning import prepare

FILES = {
    "audit.json",
    "corrections.csv",
    "duplicates.csv",
    "index.html",
    "near_duplicates.csv",
    "unreadable.csv",
}


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("CLOTHING_DATA", raising=False)
    return folder


@pytest.fixture
def clothes(tiny_dataset: Callable[..., Path]) -> Path:
    """One image twice with two labels, and one that is none."""
    root = tiny_dataset()
    shutil.copy(root / "images/0000.jpg", root / "images/0039.jpg")
    (root / "images/0020.jpg").write_bytes(b"no image")
    return root


def audited(*words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert prepare.main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def mistake(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert prepare.main(list(words)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "data.init_args" not in captured.err
    return captured.err


def test_folder_of_photos_to_page_and_tables(
    clothes: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare.main(["clothing_dataset", "--root", str(clothes)]) == 0
    text = capsys.readouterr().out
    folder = workplace / "audits" / "clothing-dataset"
    assert {path.name for path in folder.iterdir()} == FILES
    assert "clothing-dataset: 39 images in 3 classes" in text
    assert "1 image cannot be read." in text
    assert "1 file is there again with another label." in text
    assert text.rstrip().endswith(
        "Page: audits/clothing-dataset/index.html\n"
        "Next: python -m clothing_lightning.fit "
        "experiments/efficientnet_lite0_frozen.yaml "
        f"--data.init_args.root {clothes} --data.init_args.on_unreadable drop"
    )
    unreadable = pd.read_csv(folder / "unreadable.csv")
    assert unreadable["path"].tolist() == ["images/0020.jpg"]
    assert "is no image that can be read" in unreadable["reason"][0]
    copies = pd.read_csv(folder / "duplicates.csv")
    assert copies["path"].tolist() == ["images/0000.jpg", "images/0039.jpg"]
    assert copies["label"].tolist() == ["Dress", "Shirt"]
    near = pd.read_csv(folder / "near_duplicates.csv")
    assert {"path_a", "path_b", "similarity", "label_a", "split_b"} <= set(near)
    assert (folder / "corrections.csv").read_text() == "path,label\n"


def test_json_is_the_file_that_is_written(
    clothes: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = audited(
        "ClothingDataset", f"--root={clothes}", "--out", "here", capsys=capsys
    )
    assert found == json.loads((workplace / "here/audit.json").read_text())
    assert (found["images"], found["unreadable"], found["identical_sets"]) == (39, 1, 1)


def test_second_audit_keeps_corrections_and_renews_the_rest(
    clothes: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("clothing-dataset", "--root", str(clothes), "--out", "here")
    audited(*words, capsys=capsys)
    mine = workplace / "here/corrections.csv"
    mine.write_text("path,label\nimages/0039.jpg,\nimages/0001.jpg,Hat\n")
    (workplace / "here/index.html").write_text("old")
    found = audited(*words, "--corrections", str(mine), capsys=capsys)
    assert (found["images"], found["identical_sets"]) == (38, 0)
    totals = {label: sum(row.values()) for label, row in found["counts"].items()}
    assert totals == {"Dress": 13, "Hat": 10, "Shirt": 15}
    assert mine.read_text().count("\n") == 3
    assert (workplace / "here/index.html").read_text().startswith("<!doctype html>")


def test_empty_corrections_change_nothing(
    clothes: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("clothing_dataset", "--root", str(clothes), "--out", "here")
    first = audited(*words, capsys=capsys)
    again = audited(*words, "--corrections", "here/corrections.csv", capsys=capsys)
    assert first["counts"] == again["counts"]


@pytest.mark.parametrize(
    "flags",
    [
        ("--drop-duplicates",),
        ("--drop_duplicates=true",),
        ("--data.init_args.drop_duplicates", "true"),
    ],
)
def test_options_may_be_spelled_as_for_fit(
    flags: tuple[str, ...], clothes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("clothing_dataset", *flags, "--root", str(clothes))
    found = audited(*words, capsys=capsys)
    assert (found["images"], found["left_out"]["dropped copies"]) == (37, 2)


def test_experiment_is_audited_as_it_will_be_trained(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay = tmp_path / "overlay.yaml"
    split = {"init_args": {"split": {"method": "grouped", "small_classes": "train"}}}
    overlay.write_text(yaml.safe_dump({"data": split}))
    words = [str(experiment), str(overlay), "--split.seed", "1"]
    found = audited(*words, capsys=capsys)
    assert found["network_size_px"] == 32
    assert found["images"] == 40
    assert set(found["group_also_in_train"].values()) == {0.0}
    assert prepare.main(words) == 0
    end = f"fit {experiment} {overlay} --data.init_args.split.seed 1\n"
    assert capsys.readouterr().out.endswith(end)


def test_data_set_that_cannot_be_divided_is_audited(
    tiny_dataset: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = tiny_dataset({"Dress": 10, "Hat": 2})
    found = audited("clothing_dataset", "--root", str(root), capsys=capsys)
    assert found["split_error"].startswith(
        "split: 'Hat' has 2 images, and 3 are needed"
    )
    assert found["counts"] == {"Dress": {"all": 10}, "Hat": {"all": 2}}
    assert found["issues"][0]["what"] == "There is no split."


def test_disagreeing_labels_of_deepfashion_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.trees import deepfashion

    root = deepfashion(tmp_path / "deepfashion", 112)
    found = audited("deepfashion", "--root", str(root), capsys=capsys)
    told = [issue["what"] for issue in found["issues"]]
    words = "The names of folders give 14.3% of the images another label than the"
    assert sum(what.startswith(words) for what in told) == 1


def test_data_set_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    told = mistake("clothing_datset", capsys=capsys)
    assert "clothing_datset: is no data set that is known here." in told
    assert "Closest names: clothing_dataset." in told
    assert "sample; or name the YAML file of an experiment" in told


def test_flag_before_the_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    told = mistake("--root", "x", capsys=capsys)
    assert "--root: name the data set before the flags" in told


def test_two_data_sets(capsys: pytest.CaptureFixture[str]) -> None:
    assert "sample x: one data set at a time." in mistake("sample", "x", capsys=capsys)


def test_misspelt_option(capsys: pytest.CaptureFixture[str]) -> None:
    told = mistake("clothing_dataset", "--rot", "x", capsys=capsys)
    assert "rot: there is no such option. Closest names: root." in told


def test_missing_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no.yaml: there is no such file." in mistake("no.yaml", capsys=capsys)


def test_missing_data_tell_how_to_get_them(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("clothing_dataset", "--root", "nowhere", "--download", "no")
    told = mistake(*words, capsys=capsys)
    assert "'nowhere/images.csv' is not there. Get the data by one of" in told
    assert "--download=archive" in told


def test_what_cannot_be_fetched_tells_of_other_ways(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    told = mistake("fashion_products", "--root", "nowhere", capsys=capsys)
    assert "needs kagglehub" in told
    assert "Other ways to get the data are told by --download no." in told


def test_results_are_not_mixed_with_other_files(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "index.html").write_text("mine")
    told = mistake("sample", "--out", ".", capsys=capsys)
    assert "--out: '.' holds files that are not of an audit." in told
    assert (workplace / "index.html").read_text() == "mine"


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_results_cannot_be_put_into_a_file(
    out: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "file").touch()
    told = mistake("sample", "--out", out, capsys=capsys)
    assert "file' is a file. Name another folder." in told


def test_results_that_cannot_be_written(
    clothes: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "here/index.html").mkdir(parents=True)
    (workplace / "here/audit.json").touch()
    words = ("clothing_dataset", "--root", str(clothes), "--out", "here")
    assert "index.html: cannot be written (Is a directory)" in mistake(
        *words, capsys=capsys
    )


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_is_a_page(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare.main(words) == (0 if words else 2)
    text = capsys.readouterr().out
    assert text.startswith("usage: python -m clothing_lightning.prepare DATASET")
    assert max(map(len, text.splitlines())) <= 88


def test_help_of_a_data_set_lists_its_options(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert prepare.main(["image_folder", "--help"]) == 0
    text = capsys.readouterr().out
    assert "--root" in text
    assert "--split.method" in text
    assert "--batch_size" not in text


def test_help_needs_no_heavy_imports() -> None:
    code = (
        "import sys\nfrom clothing_lightning.prepare import main\nmain(['--help'])\n"
        "heavy = {'torch', 'pandas', 'lightning', 'cv2'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.slow
def test_interrupt_ends_with_130_and_without_traceback(
    tmp_path: Path, tiny_dataset: Callable[..., Path]
) -> None:
    root, ready = tiny_dataset(), tmp_path / "ready"
    os.mkfifo(ready)
    code = (
        "import signal, sys, time\n"
        # Where tests run in the background, they start with interrupts ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from clothing_lightning import prepare\n"
        "from clothing_lightning.data import near_duplicates\n"
        "def stop(hashes):\n"
        f"    open({str(ready)!r}, 'w').close()\n"
        "    time.sleep(60)\n"
        "near_duplicates.candidate_pairs = stop\n"
        f"sys.exit(prepare.main(['clothing_dataset', '--root', {str(root)!r}]))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True
    )
    ready.read_text()
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=300)
    assert child.returncode == 130
    assert told.strip() == "Interrupted; images checked so far are remembered."

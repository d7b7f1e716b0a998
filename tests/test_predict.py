"""`predict` from its words to its files, with a tiny run that is really trained."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from clothing_lightning import predict
from clothing_lightning.inference.checkpoint import read_checkpoint
from clothing_lightning.inference.predictor import Predictor
from clothing_lightning.models.description import KEY
from clothing_lightning.reports.contact_sheet import PHOTOS_PER_PAGE
from tests.trained_run import COLOURS, EACH, Trained, draw, trained

__all__ = ["trained"]

Captured = pytest.CaptureFixture[str]


def refused(words: list[str], capsys: Captured) -> str:
    assert predict.main(words) == 2
    found = capsys.readouterr()
    assert not found.out
    return found.err


def test_json_is_all_that_is_on_stdout(trained: Trained, capsys: Captured) -> None:
    words = ["tiny", trained.photo(), trained.photo("Shirt"), "--json", "--top", "9"]
    assert predict.main(words) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["run"] == "tiny"
    assert content["unreadable"] == []
    assert [image["path"] for image in content["images"]] == words[1:3]
    for image in content["images"]:
        classes = image["predictions"]
        assert {each["label"] for each in classes} == set(COLOURS)
        values = [each["probability"] for each in classes]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1)


def test_the_terminal_shows_the_first_classes(
    trained: Trained, tmp_path: Path, capsys: Captured
) -> None:
    file = tmp_path / "x.jpg"
    draw(file, COLOURS["Hat"], 1)
    words = [trained.run.run_id[:8], str(file), "--top", "2", "--device", "cpu"]
    assert predict.main(words) == 0
    shown = capsys.readouterr().out
    best = Predictor("tiny")(file)[list(COLOURS)].iloc[0].nlargest(2)
    assert {name for name in COLOURS if name in shown} == set(best.index)
    for value in best:
        assert f"{value:.3f}" in shown


def test_folders_are_searched_through_and_csv_holds_the_classes(
    trained: Trained, tmp_path: Path, capsys: Captured
) -> None:
    folder = tmp_path / "mine"
    for name in ("b/deep/2.JPG", "a/1.png", "3.jpeg"):
        draw(folder / name, COLOURS["Hat"], 7)
    (folder / "notes.txt").write_text("no image")
    (folder / "link").symlink_to(trained.photos)
    file = tmp_path / "found.csv"
    assert predict.main(["tiny", str(folder), "--csv", str(file), "--top", "2"]) == 0
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert list(rows[0]) == [
        *("path", "prediction_1", "probability_1", "prediction_2", "probability_2"),
    ]
    names = [str(folder / name) for name in ("3.jpeg", "a/1.png", "b/deep/2.JPG")]
    assert [row["path"] for row in rows] == names
    table = Predictor("tiny")(folder)
    assert [row["prediction_1"] for row in rows] == list(table["prediction"])
    for row, value in zip(rows, table["probability"], strict=True):
        assert float(row["probability_1"]) == pytest.approx(value, rel=1e-4)


def test_a_broken_photo_is_told_and_the_others_go_on(
    trained: Trained, tmp_path: Path, capsys: Captured
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(Path(trained.photo()).read_bytes()[:300])
    assert predict.main(["tiny", str(broken), trained.photo(), "--json"]) == 1
    found = capsys.readouterr()
    content = json.loads(found.out)
    assert [image["path"] for image in content["images"]] == [trained.photo()]
    assert content["unreadable"][0]["path"] == str(broken)
    assert f"{broken}: is damaged or cut short" in found.err
    assert predict.main(["tiny", str(broken)]) == 2
    assert "none of 1 photo can be read" in capsys.readouterr().err


def test_unsure_is_told_in_table_csv_and_json(
    trained: Trained, tmp_path: Path, capsys: Captured
) -> None:
    about = read_checkpoint(trained.best).description
    wanted = about.calibration
    assert wanted is not None
    point = wanted.most_accurate
    photos = [str(trained.photos / path) for path in trained.stored("val")["path"]]
    asked = f"{math.floor(1000 * point.accuracy) / 1000}"
    file = tmp_path / "found.csv"
    words = ["tiny", *photos, "--abstain", asked]
    assert predict.main([*words, "--json"]) == 0
    printed = capsys.readouterr()
    content = json.loads(printed.out)
    assert content["temperature"] == wanted.temperature
    assert content["abstention"]["threshold"] == point.threshold
    expected = [
        "unsure" if first["probability"] < point.threshold else first["label"]
        for first, *_ in (image["predictions"] for image in content["images"])
    ]
    assert [image["answer"] for image in content["images"]] == expected
    unsure = expected.count("unsure")
    assert unsure == len(photos) - point.answered > 0
    low, high = point.interval
    line = (
        f"unsure below {point.threshold:.3f}: of only {len(photos)} validation images "
        f"{point.answered} ({point.share:.0%}) are answered, {point.accuracy:.3f} of "
        f"these rightly, 95 % interval {low:.3f} to {high:.3f}."
    )
    assert line in printed.err
    sheet = tmp_path / "sheet.png"
    assert predict.main([*words, "--csv", str(file), "--sheet", str(sheet)]) == 0
    assert capsys.readouterr().out.count("unsure (0.") == unsure
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [row["answer"] for row in rows] == expected
    assert all(row["prediction_1"] in COLOURS for row in rows)
    assert sheet.is_file()


def test_an_accuracy_out_of_reach_is_told(trained: Trained, capsys: Captured) -> None:
    content = torch.load(trained.best, weights_only=True)
    calibration = content[KEY]["calibration"]
    content[KEY]["calibration"] = calibration | {
        "images": 8, "curve": [(0.9, 2, 1), (0.5, 6, 4), (0.0, 8, 4)]
    }  # fmt: skip
    best = trained.best.read_bytes()
    torch.save(content, trained.best)
    try:
        message = refused(["tiny", trained.photo(), "--abstain", "0.9"], capsys)
        assert predict.main(["tiny", trained.photo(), "--abstain", "0.666"]) == 0
    finally:
        trained.best.write_bytes(best)
    assert (
        "--abstain 0.9: no confidence of 'tiny' reaches it on its 8 validation images. "
        "The most is 0.666, with 6 of them answered."
    ) in " ".join(message.split())


def test_sheets_have_as_many_pages_as_they_need(
    trained: Trained, tmp_path: Path, capsys: Captured
) -> None:
    sheet = tmp_path / "sheet.png"
    words = ["tiny", str(trained.photos), "--sheet", str(sheet)]
    assert predict.main(words) == 0
    assert PHOTOS_PER_PAGE < EACH * len(COLOURS) <= 2 * PHOTOS_PER_PAGE
    pages = sorted(tmp_path.glob("sheet*.png"))
    assert [page.name for page in pages] == ["sheet-2.png", "sheet.png"]
    heights = []
    for page in pages:
        with Image.open(page) as image:
            heights.append(image.height)
    assert heights[0] < heights[1]
    capsys.readouterr()
    assert f"--sheet: '{sheet}' is there already" in refused(words, capsys)


def test_explanations_have_a_file_for_each_photo(
    trained: Trained, tmp_path: Path, capsys: Captured
) -> None:
    folder = tmp_path / "why"
    photos = [trained.photo(label) for label in COLOURS]  # of the same name
    words = ["tiny", *photos, "--explain", str(folder)]
    assert predict.main(words) == 0
    names = [path.name for path in sorted(folder.iterdir())]
    assert names == ["0001_000.png", "0002_000.png", "0003_000.png"]
    assert predict.main(words) == 2
    assert "is not empty. Empty it, or name another folder." in capsys.readouterr().err


def test_names_of_photos_stay_in_the_folder_of_explanations(
    trained: Trained, tmp_path: Path
) -> None:
    odd = tmp_path / "photos" / "..%2f $(x) é\n.jpg"
    draw(odd, COLOURS["Dress"], 1)
    folder = tmp_path / "why"
    assert predict.main(["tiny", str(odd), "--explain", str(folder)]) == 0
    assert [path.name for path in folder.iterdir()] == ["0001__2f_x_é_.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tiny"], "name the run, and then images or folders"),
        (["tiny", "nowhere.jpg"], "nowhere.jpg: there is no such file or folder"),
        (["nobody", "PHOTO"], "run 'nobody' is not in sqlite"),
        (["tiny", "PHOTO", "--top", "0"], "--top is 0. The least is 1"),
        (["tiny", "PHOTO", "--top", "x"], "invalid int value"),
        (["tiny", "PHOTO", "--batch", "0"], "--batch is 0. The least is 1"),
        (["tiny", "PHOTO", "--abstain", "90"], "--abstain is 90. It is the accuracy"),
        (["tiny", "PHOTO", "--abstain", "nan"], "--abstain is nan. It is the"),
        (["LAST", "PHOTO", "--abstain", "0.5"], "holds no calibration"),
        (["tiny", "PHOTO", "--device", "tpu"], "--device: invalid choice: 'tpu'"),
        (["tiny", "PHOTO", "--sheet", "a.jpg"], "'a.jpg' does not end in .png"),
        (["tiny", "PHOTO", "--sheet", "no/a.png"], "there is no folder 'no'"),
        (["tiny", "PHOTO", "--csv", "tiny.yaml"], "'tiny.yaml' is there already"),
        (["tiny", "PHOTO", "--explain", "tiny.yaml"], "'tiny.yaml' is a file"),
        (["tiny", "EMPTY"], "holds no image"),
        (["tiny", "PHOTO", "--tpo", "3"], "--tpo 3. Closest names: --top. --help"),
        (["tiny", "PHOTO", "--csv", "EMPTY"], "is a folder. Name a file."),
        (["tinny", "PHOTO"], "Closest names: tiny. Give the id"),
        (["PHOTO", "PHOTO"], "It is a file or folder: the run comes first."),
    ],
)
def test_mistakes_are_told(
    words: list[str],
    message: str,
    trained: Trained,
    tmp_path: Path,
    capsys: Captured,
) -> None:
    last = str(trained.best.with_name("last.ckpt"))
    places = {"PHOTO": trained.photo(), "EMPTY": str(tmp_path), "LAST": last}
    assert message in refused([places.get(word, word) for word in words], capsys)


def test_a_run_without_its_checkpoint_is_told(
    trained: Trained, tmp_path: Path, capsys: Captured
) -> None:
    best = trained.artifacts / "checkpoints" / "best.ckpt"
    best.rename(tmp_path / "best.ckpt")
    try:
        message = refused(["tiny", trained.photo()], capsys)
    finally:
        (tmp_path / "best.ckpt").rename(best)
    assert "has no artifact 'checkpoints/best.ckpt'" in message
    assert "there is no network to restore" in message


def test_help_and_missing_files_do_not_wait_for_torch() -> None:
    banned = {"torch", "timm", "mlflow", "pandas", "rich"}
    for words in (["--help"], ["run", "nowhere.jpg"], ["run", "--help"]):
        script = (
            "import sys; from clothing_lightning import predict; "
            f"predict.main({words!r}); "
            f"sys.exit(' '.join({banned!r} & set(sys.modules)) or 0)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

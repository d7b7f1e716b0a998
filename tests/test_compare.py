"""The command `compare`, on runs in a real store."""

import re
from pathlib import Path

import pandas as pd
import pytest

from clothing_lightning import compare
from clothing_lightning.tracking.read import COMPARES_TAG, all_runs
from tests.stored_runs import store_run

pytestmark = pytest.mark.usefixtures("workplace")


def two_models() -> None:
    for seed in range(2):
        params = {"seed_everything": str(seed)}
        for name, skill in (("good", 3.0), ("bad", 0.2)):
            settings = {**params, "model": name}
            store_run(f"{name}-seed{seed}", skill=skill, params=settings)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The message that some words end in."""
    assert compare.main(words) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


def test_an_experiment_is_ranked(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_models()
    assert compare.main(["--experiment", "clothes"]) == 0
    shown = capsys.readouterr().out
    assert "good has the highest accuracy" in shown
    assert (
        "It is better than bad beyond the chance of the test images (p < 0.05)."
        in shown
    )
    folder = workplace / "reports" / "clothes"
    ranking = pd.read_csv(folder / "comparison.csv")
    assert list(ranking["model"]) == ["good", "bad"]
    assert list(ranking["repeats"]) == [2, 2]
    pairs = pd.read_csv(folder / "pairs.csv")
    assert list(pairs["better"]) == ["good"]
    assert pairs["p_holm"][0] < 0.05
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "good" in page
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    assert (folder / "comparison.md").read_text().startswith("# ")


def test_photos_that_are_not_found_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    two_models()
    assert compare.main(["good", "bad", "--no-log"]) == 0
    told = capsys.readouterr().err
    assert re.search(
        r"note: (\d+) of \1 photos are not shown: they are not where", told
    )


def test_a_comparison_is_kept_as_a_run_and_not_compared_itself(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_models()
    for _ in range(2):
        assert compare.main(["--experiment", "clothes"]) == 0
        assert "good has the highest accuracy" in capsys.readouterr().out
    kept = [run for run in all_runs() if COMPARES_TAG in run.tags]
    assert len(kept) == 2
    compared = set(kept[0].tags[COMPARES_TAG].split())
    assert compared == {r.run_id for r in all_runs() if COMPARES_TAG not in r.tags}
    files = {file.name for file in kept[0].artifact("comparison").iterdir()}
    assert files == {"index.html", "comparison.md", "comparison.csv", "pairs.csv"}
    assert kept[0].status == "FINISHED"
    ranking = pd.read_csv(workplace / "reports" / "clothes" / "comparison.csv")
    assert len(ranking) == 2


def test_a_comparison_that_is_interrupted_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    two_models()
    monkeypatch.setattr("shutil.copy", interrupt)
    assert compare.main(["good", "bad"]) == 130
    (kept,) = [run for run in all_runs() if COMPARES_TAG in run.tags]
    assert kept.status == "KILLED"


def test_latencies_that_cannot_be_measured_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    two_models()
    assert compare.main(["good", "bad", "--latency", "--no-log"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "warning: No latency: run good" in shown
    assert "latency one image" not in shown


def test_it_need_not_be_kept() -> None:
    two_models()
    assert compare.main(["good", "bad", "--no-log"]) == 0
    assert not [run for run in all_runs() if COMPARES_TAG in run.tags]


def test_models_can_be_ranked_by_macro_f1_into_a_folder_of_choice(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two_models()
    words = ["good", "bad", "--rank-by", "macro_f1", "--out", "here", "--title", "Mine"]
    assert compare.main(words) == 0
    assert "good has the highest macro F1" in capsys.readouterr().out
    assert (workplace / "here" / "comparison.md").read_text().startswith("# Mine\n")


def test_other_test_images_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    store_run("a")
    store_run("b", test=range(30, 90))
    assert compare.main(["a", "b", "--no-log"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "warning: The models were tested on different images (" in shown
    assert "compared on the 30 that all of them tested" in shown


def test_runs_without_a_shared_image_are_refused(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store_run("a")
    store_run("b", test=range(60, 90))
    assert "no image was tested by all of them" in refused(capsys, "a", "b")
    assert not (workplace / "reports").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rank-by", "accuracy"], "no run is named"),
        (["nothing"], "run 'nothing' is not in"),
        (["a", "--rank-by", "loss"], "--rank-by: invalid choice: 'loss'"),
        (
            ["a", "--ouput", "x"],
            "arguments: --ouput x. Closest names: --out",
        ),
        (["--experiment", ""], "the name of a run or experiment is empty"),
        (["--experiment", "a"], "There is a run of this name: write it before the fl"),
        (["a", "--filter", "x"], "--filter: chooses among the runs of --experiment"),
        (["a", "--out", "mlruns"], "holds files that are not of a comparison"),
        (["stopped"], "nothing that can be compared. Not finished, left out:"),
    ],
)
def test_mistakes_are_told_in_one_message(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store_run("a")
    store_run("stopped", status="KILLED")
    assert message in refused(capsys, *words)


def test_files_that_are_not_its_own_are_not_written_over(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store_run("a")
    mine = workplace / "mine"
    mine.mkdir()
    (mine / "comparison.csv").write_text("my own\n")
    assert "not of a comparison" in refused(capsys, "a", "--out", "mine")
    assert (mine / "comparison.csv").read_text() == "my own\n"


def test_many_experiments_have_a_folder_of_a_short_name(workplace: Path) -> None:
    names = [f"an experiment with a rather long name {n}" for n in range(9)]
    for name in names:
        store_run("a", experiment=name)
    assert compare.main(["--experiment", *names, "--no-log"]) == 0
    (folder,) = (workplace / "reports").iterdir()
    assert len(folder.name) <= 100


def test_help_is_shown_wherever_it_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert compare.main(["--experiment", "clothes", "--help"]) == 0
    assert "usage: python -m clothing_lightning.compare" in capsys.readouterr().out


def test_without_words_it_says_what_it_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert compare.main([]) == 2
    assert "usage: python -m clothing_lightning.compare" in capsys.readouterr().out


def test_a_budget_names_the_best_that_keeps_to_it(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Models of the fixture cost 1 GMAC divided by their skill."""
    for name, skill in (("good", 3.0), ("bad", 0.2)):
        store_run(name, skill=skill)
    words = ["good", "bad", "--no-log", "--out", "out"]
    assert compare.main([*words, "--budget", "6 G MACs"]) == 0
    sentence = "Within 6 G MACs: good (0.333 G MACs)."
    assert sentence in capsys.readouterr().out
    for file in ("index.html", "comparison.md"):
        assert sentence in (workplace / "out" / file).read_text(encoding="utf-8")


def test_a_budget_that_nothing_keeps_to_is_told_after_the_page(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store_run("good")
    words = ("good", "--no-log", "--out", "out", "--budget")
    assert "No model keeps to '1 M MACs'. The nearest is good (500 M MACs). R" in (
        refused(capsys, *words, "1 M MACs")
    )
    assert (workplace / "out" / "index.html").is_file()
    unknown = refused(capsys, *words, "10 ms")
    assert "The cost is not known of good. --latency measures it." in unknown
    assert "'' is not understood" in refused(capsys, *words, "")

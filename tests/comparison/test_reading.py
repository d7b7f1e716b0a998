"""Choosing and reading the runs that are compared, from a real store."""

from pathlib import Path

import pandas as pd
import pytest

from clothing_lightning.comparison.pooling import compared
from clothing_lightning.comparison.reading import (
    chosen_runs,
    read_tested,
    usable,
)
from clothing_lightning.comparison.storing import COMPARES_TAG
from clothing_lightning.errors import ConfigError, RunError
from clothing_lightning.tracking.read import EVALUATES_TAG, find_run
from tests.stored_runs import store_run

pytestmark = pytest.mark.usefixtures("workplace")


def names(references: list[str], experiments: list[str] | None = None) -> list[str]:
    return [run.name for run in chosen_runs(references, experiments or [], "")]


def test_runs_are_chosen_by_id_name_or_name_without_seed() -> None:
    ids = [store_run(f"net-seed{n}") for n in range(2)]
    store_run("other")
    assert names([ids[0]]) == names([ids[0][:9]]) == names(["net-seed0"])
    assert names(["net"]) == ["net-seed1", "net-seed0"]  # the newest first
    assert names(["net-seed0", "net"]) == ["net-seed1", "net-seed0"]


def test_a_run_that_stands_for_several_means_those() -> None:
    parent = store_run("net", tags={"series": "{}"})
    for number in range(2):
        store_run(f"net, seed {number}", tags={"mlflow.parentRunId": parent})
    assert names(["net"]) == ["net, seed 1", "net, seed 0"]


def test_all_runs_of_an_experiment_are_chosen_or_those_that_meet_a_condition() -> None:
    store_run("a", skill=1.0)
    store_run("b", skill=2.0)
    store_run("c", experiment="shoes")
    assert names([], ["clothes"]) == ["b", "a"]
    chosen = chosen_runs([], ["clothes"], "metrics.`model/macs` > 0.9e9")
    assert [run.name for run in chosen] == ["a"]


def test_a_condition_that_mlflow_does_not_understand_is_told() -> None:
    store_run("a")
    with pytest.raises(ConfigError, match=r"--filter: 'accuracy is good' is not"):
        chosen_runs([], ["clothes"], "accuracy is good")


def test_a_condition_that_no_run_meets_is_told() -> None:
    store_run("a")
    with pytest.raises(
        RunError, match=r"none of its runs meets --filter 'metrics\.x > 1'"
    ):
        chosen_runs([], ["clothes"], "metrics.x > 1")


def test_where_there_is_no_store_none_is_made(workplace: Path) -> None:
    (workplace / "mlruns" / "mlflow.db").unlink()
    with pytest.raises(RunError, match=r"there are no runs in '.*/work/mlruns'"):
        chosen_runs(["a"], [], "")
    with pytest.raises(RunError, match="Start from the folder that they were trained"):
        chosen_runs([], ["clothes"], "")
    assert not (workplace / "mlruns" / "mlflow.db").exists()


def test_an_unknown_run_is_told_with_its_closest_names() -> None:
    store_run("resnet18-seed0")
    with pytest.raises(RunError, match=r"'resnet81' is not in .*names: 'resnet18',"):
        chosen_runs(["resnet81"], [], "")


def test_an_unknown_experiment_is_told_with_those_there_are() -> None:
    store_run("a")
    with pytest.raises(RunError, match=r"'cloths' is not in .*Default, clothes\."):
        chosen_runs([], ["cloths"], "")


def test_runs_that_cannot_be_compared_are_left_out() -> None:
    of = store_run("a")
    store_run("stopped", status="KILLED")
    store_run("earlier comparison", tags={COMPARES_TAG: of})
    store_run("all seeds", tags={"series": "{}"})
    store_run("a again", tags={EVALUATES_TAG: of})
    store_run("a elsewhere", tags={EVALUATES_TAG: of}, test=range(30))
    every = chosen_runs([], ["clothes"], "")
    kept, told = usable(every)
    assert [run.name for run in kept] == ["a"]
    assert told[0].startswith("Not finished, left out: stopped (")
    assert told[1].startswith("Evaluations on other images than the run's own test")
    assert "a elsewhere (" in told[1]
    assert len(told) == 2


def test_an_evaluation_stands_for_a_run_that_is_not_among_the_others() -> None:
    of = store_run("a", status="KILLED")
    store_run("a again", tags={EVALUATES_TAG: of})
    store_run("a on val", tags={EVALUATES_TAG: of, "stage": "val"})
    kept, told = usable(chosen_runs([], ["clothes"], ""))
    assert [run.name for run in kept] == ["a again"]
    assert len(told) == 2


def test_another_checkpoint_of_a_run_is_another_model() -> None:
    of = store_run("a")
    tags, params = {EVALUATES_TAG: of}, {"model": "a", "checkpoint": "last.ckpt"}
    store_run("a at the end", tags=tags, params=params)
    store_run("a at the end elsewhere", tags=tags, params=params, test=range(30))
    kept, told = usable(chosen_runs([], ["clothes"], ""))
    assert [run.name for run in kept] == ["a at the end", "a"]
    assert len(told) == 1
    last, best = read_tested(kept)[0]
    assert last.recipe == {**best.recipe, "checkpoint": "last.ckpt"}


def test_what_is_compared_of_a_run_is_read() -> None:
    preprocessing = '{"image_size": 224, "mean": [0.5], "std": [1], "crop_pct": 0.875}'
    run_id = store_run(
        "net",
        params={"data.fold": "1 of 5", "data.split.seed": "4", "data.root": "/x"},
        tags={"preprocessing": preprocessing},
    )
    (run,), told = read_tested([find_run(run_id)])
    assert told == []
    assert (run.run_id, run.name, run.fold) == (run_id, "net", "1 of 5")
    assert run.seeds == "seed 0, split seed 4"
    images = run.recipe["data.images"]
    settings = {"model": "net", "data.fold": "one of 5", "data.images": images}
    assert run.recipe == settings
    assert images.startswith("90 (")
    assert run.preprocessing == "224 px, centre 0.875, gray"
    assert len(run.tested) == len(run.predictions) == 60
    assert len(run.learnt) == 30
    assert run.manifest["width"].sum() == 90 * 30
    assert run.validation is not None
    assert run.history is None


def test_a_run_without_predictions_is_told() -> None:
    run_id = store_run("net")
    find_run(run_id).artifact("predictions/test.parquet").unlink()
    found, told = read_tested([find_run(run_id)])
    assert found == []
    assert "has no artifact 'predictions/test.parquet'" in told[0]


def test_evaluations_have_learnt_what_the_evaluated_runs_have() -> None:
    ids = []
    for name, train in (("a", range(200, 220)), ("b", range(210, 240))):
        of = store_run(name, train=train)
        tags = {EVALUATES_TAG: of}
        ids.append(store_run(f"{name} on others", train=(), tags=tags))
    a, b = read_tested([find_run(each) for each in ids])[0]
    assert a.learnt == {f"{n:064x}" for n in range(200, 220)}
    assert b.learnt == {f"{n:064x}" for n in range(210, 240)}
    assert (a.name, b.name) == ("a", "b")


def test_folds_that_are_evaluated_on_other_images_are_repeats() -> None:
    ids = []
    for number in (1, 2):
        fold = {"data.fold": f"{number} of 2", "model": "net"}
        of = store_run(f"net, fold {number} of 2", test=range(9), params=fold)
        tags = {EVALUATES_TAG: of}
        again = store_run(f"again {number}", tags=tags, params=fold, train=())
        ids.append(again)
    found = compared(read_tested([find_run(each) for each in ids])[0])
    assert [len(model.repeats) for model in found.models] == [2]
    assert found.models[0].title == "net"


def test_the_same_recipe_on_other_images_is_another_model() -> None:
    ids = [
        store_run(f"net-seed{n}", train=train, params={"model": "net"})
        for n, train in enumerate((range(100, 130), range(200, 230)))
    ]
    found = compared(read_tested([find_run(each) for each in ids])[0])
    assert len(found.models) == 2
    assert "images 90 (" in found.models[0].title


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "predictions/test.parquet",
            b"damaged",
            "'predictions/test.parquet' cannot be",
        ),
        ("data/manifest.csv", b"path,label,split\n", "has no column 'sha256'"),
        ("data/manifest.csv", b"", "'data/manifest.csv' cannot be read"),
        ("reports/learning_curves.csv", b"", None),
        ("predictions/val.parquet", b"damaged", None),
    ],
)
def test_a_damaged_file_is_told_or_done_without(
    file: str, content: bytes, message: str | None
) -> None:
    run = find_run(store_run("net"))
    place = run.artifact("data").parent / file
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(content)
    found, told = read_tested([run])
    assert len(found) == (message is None)
    assert all(message is not None and message in each for each in told)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"Hat": float("nan")}, "probabilities are not finite for 60 of 60 images"),
        ({"Hat": "much"}, "could not convert string to float: 'much'"),
        ({"label": "Sock"}, "'0.jpg' has the label 'Sock', expected one of the 3"),
    ],
)
def test_predictions_that_break_their_contract_are_told_and_no_validation_needed(
    columns: dict[str, str | float], message: str
) -> None:
    run = find_run(store_run("net"))
    for stage, found in (("val", 1), ("test", 0)):
        file = run.artifact(f"predictions/{stage}.parquet")
        pd.read_parquet(file).assign(**columns).to_parquet(file, index=False)
        tested, told = read_tested([run])
        assert len(tested) == found
    assert "Left out: run net (" in told[0]
    assert message in told[0]


@pytest.mark.parametrize("tag", ["{}", "null", "[]", "1", '{"mean": 3}', "no JSON"])
def test_preprocessing_that_is_not_understood_is_not_known(tag: str) -> None:
    run = find_run(store_run("net", tags={"preprocessing": tag}))
    (tested,), _ = read_tested([run])
    assert tested.preprocessing == ""


def test_where_a_run_was_trained_is_read() -> None:
    tags = {"device": "cpu", "threads": "2"}
    trained = store_run("net", tags=tags)
    again = store_run("again", tags={EVALUATES_TAG: trained, "device": "NVIDIA H100"})
    found, _ = read_tested([find_run(each) for each in (trained, again)])
    assert [run.machine for run in found] == ["cpu, 2 threads"] * 2

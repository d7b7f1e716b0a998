"""Reading the runs that are compared, from a real store."""

from collections.abc import Callable

import pandas as pd
import pytest
from mlflow import MlflowClient

from clothing_lightning.comparison.pooling import pool
from clothing_lightning.comparison.reading import read_runs
from clothing_lightning.comparison.selection import chosen_runs, comparable_runs
from clothing_lightning.tracking.read import EVALUATES_TAG, find_run
from tests.stored_runs import store_run

pytestmark = pytest.mark.usefixtures("workplace")


def test_another_checkpoint_of_a_run_is_another_model() -> None:
    of = store_run("a")
    tags, params = {EVALUATES_TAG: of}, {"model": "a", "checkpoint": "last.ckpt"}
    store_run("a at the end", tags=tags, params=params)
    store_run("a at the end elsewhere", tags=tags, params=params, test=range(30))
    kept, told = comparable_runs(chosen_runs([], ["clothes"], ""))
    assert [run.name for run in kept] == ["a at the end", "a"]
    assert len(told) == 1
    last, best = read_runs(kept)[0]
    assert last.hyperparameters == {**best.hyperparameters, "checkpoint": "last.ckpt"}


def test_what_is_compared_of_a_run_is_read() -> None:
    preprocessing = '{"image_size": 224, "mean": [0.5], "std": [1], "crop_pct": 0.875}'
    run_id = store_run(
        "net",
        params={"data.fold": "1 of 5", "data.split.seed": "4", "data.root": "/x"},
        tags={"preprocessing": preprocessing},
    )
    (run,), told = read_runs([find_run(run_id)])
    assert told == []
    assert (run.run_id, run.name, run.fold) == (run_id, "net", "1 of 5")
    assert run.seeds == "seed 0, split seed 4"
    images = run.hyperparameters["data.images"]
    settings = {"model": "net", "data.fold": "one of 5", "data.images": images}
    assert run.hyperparameters == settings
    assert images.startswith("90 (")
    assert run.preprocessing == "224 px, centre 0.875, gray"
    assert len(run.predictions_by_content) == len(run.predictions) == 60
    assert len(run.learnt_contents) == 30
    assert run.manifest["width"].sum() == 90 * 30
    assert run.validation is not None
    assert run.history is None


def test_a_run_without_predictions_is_told() -> None:
    run_id = store_run("net")
    find_run(run_id).artifact("predictions/test.parquet").unlink()
    found, told = read_runs([find_run(run_id)])
    assert found == []
    assert "has no artifact 'predictions/test.parquet'" in told[0]


def test_evaluations_have_learnt_what_the_evaluated_runs_have() -> None:
    ids = []
    for name, train in (("a", range(200, 220)), ("b", range(210, 240))):
        of = store_run(name, train=train)
        tags = {EVALUATES_TAG: of}
        ids.append(store_run(f"{name} on others", train=(), tags=tags))
    a, b = read_runs([find_run(each) for each in ids])[0]
    assert a.learnt_contents == {f"{n:064x}" for n in range(200, 220)}
    assert b.learnt_contents == {f"{n:064x}" for n in range(210, 240)}
    assert (a.name, b.name) == ("a", "b")


def test_folds_that_are_evaluated_on_other_images_are_repeats() -> None:
    ids = []
    for number in (1, 2):
        fold = {"data.fold": f"{number} of 2", "model": "net"}
        of = store_run(f"net, fold {number} of 2", test=range(9), params=fold)
        tags = {EVALUATES_TAG: of}
        again = store_run(f"again {number}", tags=tags, params=fold, train=())
        ids.append(again)
    found = pool(read_runs([find_run(each) for each in ids])[0])
    assert [len(model.repeats) for model in found.models] == [2]
    assert found.models[0].title == "net"


def test_the_same_settings_on_other_images_are_another_model() -> None:
    ids = [
        store_run(f"net-seed{n}", train=train, params={"model": "net"})
        for n, train in enumerate((range(100, 130), range(200, 230)))
    ]
    found = pool(read_runs([find_run(each) for each in ids])[0])
    assert len(found.models) == 2
    assert "images 90 (" in found.models[0].title


def test_files_of_settings_go_by_their_content_not_by_their_path() -> None:
    """Two seeds of the same table and one of another, whatever they are called."""
    ids = [
        store_run(
            f"net-seed{seed}",
            params={"model": "net", "data.table": path, "seed_everything": str(seed)},
            tags={"content.data.table": content},
        )
        for seed, (path, content) in enumerate(
            [("a.csv", "01ab"), ("b.csv", "01ab"), ("b.csv", "02cd")]
        )
    ]
    models = pool(read_runs([find_run(each) for each in ids])[0]).models
    assert {model.title: len(model.repeats) for model in models} == {
        "net (table content 01ab)": 2,
        "net (table content 02cd)": 1,
    }


def test_a_resumed_run_is_compared_by_the_settings_that_it_ended_with() -> None:
    begun = {"model": "net", "lr": "0.1"}
    trained = store_run("net-seed0", params=begun, tags={"resumed.lr": "0.2"})
    evaluated = store_run("again", params=begun, tags={EVALUATES_TAG: trained})
    for run_id in (trained, evaluated):
        (run,), _ = read_runs([find_run(run_id)])
        assert run.hyperparameters["lr"] == "0.2"


def test_an_evaluation_of_a_run_that_is_gone_is_told() -> None:
    run_id = store_run("again", tags={EVALUATES_TAG: "f" * 32})
    runs, remarks = read_runs([find_run(run_id)])
    assert runs == []
    assert "evaluates ffffffff, which is gone" in remarks[0]


def counted(method: Callable[..., object], calls: list[str]) -> Callable[..., object]:
    """The same method, which adds its name to the calls."""

    def wrapper(*args: object, **options: object) -> object:
        calls.append(method.__name__)
        return method(*args, **options)

    return wrapper


def test_the_store_is_asked_as_often_for_many_runs_as_for_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests: list[str] = []
    for method in ("get_run", "search_runs", "search_experiments", "list_artifacts"):
        original = getattr(MlflowClient, method)
        monkeypatch.setattr(MlflowClient, method, counted(original, requests))
    counts = []
    for _ in range(2):
        for number in range(3):
            of = store_run(f"net{number}")
            store_run("again", tags={EVALUATES_TAG: of}, experiment="elsewhere")
        requests.clear()
        stored = chosen_runs(["again"], ["clothes"], "")
        runs, _ = read_runs([*stored, *chosen_runs([], ["elsewhere"], "")])
        counts.append((len(runs), len(requests)))
    assert counts[0][1] == counts[1][1] <= 6
    assert counts[1][0] == 2 * counts[0][0]


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
    found, told = read_runs([run])
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
        tested, told = read_runs([run])
        assert len(tested) == found
    assert "Left out: run net (" in told[0]
    assert message in told[0]


@pytest.mark.parametrize("tag", ["{}", "null", "[]", "1", '{"mean": 3}', "no JSON"])
def test_preprocessing_that_is_not_understood_is_not_known(tag: str) -> None:
    run = find_run(store_run("net", tags={"preprocessing": tag}))
    (tested,), _ = read_runs([run])
    assert tested.preprocessing == ""


def test_where_a_run_was_trained_is_read() -> None:
    tags = {"device": "cpu", "threads": "2"}
    trained = store_run("net", tags=tags)
    again = store_run("again", tags={EVALUATES_TAG: trained, "device": "NVIDIA H100"})
    found, _ = read_runs([find_run(each) for each in (trained, again)])
    assert [run.machine for run in found] == ["cpu, 2 threads"] * 2

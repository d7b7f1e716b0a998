"""Choosing the runs that are compared, from a real store."""

from pathlib import Path

import pytest

from clothing_lightning.comparison.selection import chosen_runs, comparable_runs
from clothing_lightning.errors import ConfigError, RunError
from clothing_lightning.tracking.read import COMPARES_TAG, EVALUATES_TAG
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
    with pytest.raises(RunError, match=r"'resnet81' is not in .*names: resnet18,"):
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
    kept, told = comparable_runs(every)
    assert [run.name for run in kept] == ["a"]
    assert told[0].startswith("Not finished, left out: stopped (")
    assert told[1].startswith("Evaluations on other images than the run's own test")
    assert "a elsewhere (" in told[1]
    assert len(told) == 2


def test_of_runs_of_one_name_only_the_finished_one_is_compared() -> None:
    store_run("a", status="FAILED")
    done = store_run("a")
    kept, remarks = comparable_runs(chosen_runs(["a"], [], ""))
    assert [run.run_id for run in kept] == [done]
    assert remarks[0].startswith("Not finished, left out: a (")


def test_an_evaluation_stands_for_a_run_that_is_not_among_the_others() -> None:
    of = store_run("a", status="KILLED")
    store_run("a again", tags={EVALUATES_TAG: of})
    store_run("a on val", tags={EVALUATES_TAG: of, "stage": "val"})
    kept, told = comparable_runs(chosen_runs([], ["clothes"], ""))
    assert [run.name for run in kept] == ["a again"]
    assert len(told) == 2

import pandas as pd

from clothing_lightning.comparison.hyperparameters import (
    compared_settings,
    differences,
    seeds_of,
    titles,
)
from clothing_lightning.comparison.predictions import RunPredictions
from clothing_lightning.tracking.read import CHECKPOINT, StoredRun


def stored(params: dict[str, str], tags: dict[str, str]) -> StoredRun:
    return StoredRun("0", "net", "FINISHED", tags, {}, params, "1", 0, "artifacts")


def named(name: str, run_id: str, settings: dict[str, str]) -> RunPredictions:
    nothing = pd.DataFrame()
    return RunPredictions(run_id, name, settings, "", "", nothing, nothing)


def test_seeds_number_of_the_fold_and_machine_are_no_part_of_a_model() -> None:
    params = {
        "seed_everything": "1",
        "data.split.seed": "2",
        "data.fold": "1 of 5",
        "data.num_workers": "4",
        "trainer.devices": "2",
        "model.optimizer.lr": "0.1",
    }
    assert compared_settings(stored(params, {})) == {
        "data.fold": "one of 5",
        "model.optimizer.lr": "0.1",
    }
    assert seeds_of(params) == "seed 1, split seed 2"


def test_files_are_told_by_their_content_and_by_their_path_where_it_is_unknown() -> (
    None
):
    params = {"data.table": "a.csv", "data.corrections": "b.csv"}
    tags = {"content.data.table": "01ab", "content.data.split.file": "02cd"}
    assert compared_settings(stored(params, tags)) == {
        "data.table": "content 01ab",
        "data.corrections": "b.csv",
    }


def test_a_title_is_the_name_of_most_runs() -> None:
    runs = [named("net-seed0", "1", {}), named("net-seed1", "2", {})]
    assert titles([[*runs, named("odd", "3", {})]]) == ["net"]


def test_models_of_one_name_are_told_apart_by_what_differs() -> None:
    models = [
        [named("net", "1", {"model.lr": "0.1", "data": "A"})],
        [named("net", "2", {"model.lr": "0.2", "data": "A"})],
        [named("other", "3", {"model.lr": "0.2", "data": "B"})],
    ]
    assert titles(models) == ["net (lr 0.1)", "net (lr 0.2)", "other"]


def test_a_smaller_version_is_called_by_its_name() -> None:
    models = [
        [named("net", "1", {"model.lr": "0.1"})],
        [named("net", "2", {"model.lr": "0.1", CHECKPOINT: "int8"})],
    ]
    assert titles(models) == ["net", "net (int8)"]
    models.append([named("net", "3", {"model.lr": "0.2", CHECKPOINT: "int8"})])
    assert titles(models) == [
        "net (lr 0.1)",
        "net (lr 0.1, int8)",
        "net (lr 0.2, int8)",
    ]


def test_models_that_differ_in_much_are_told_apart_by_their_runs() -> None:
    models = [
        [named("net", f"{n}abcdef012345", {key: str(n) for key in "abcd"})]
        for n in (1, 2)
    ]
    assert titles(models) == ["net 1abcdef0", "net 2abcdef0"]


def test_only_what_differs_is_listed() -> None:
    table = differences({"a": {"lr": "1", "x": "1"}, "b": {"lr": "2", "x": "1"}})
    assert table.to_dict("index") == {"lr": {"a": "1", "b": "2"}}


def test_a_setting_that_one_model_lacks_differs() -> None:
    assert list(differences({"a": {"lr": "1"}, "b": {}}).index) == ["lr"]

from clothing_lightning.comparison.hyperparameters import (
    Named,
    differences,
    recipe_of,
    seeds_of,
    titles,
)


def test_seeds_number_of_the_fold_and_machine_are_no_part_of_a_recipe() -> None:
    params = {
        "seed_everything": "1",
        "data.split.seed": "2",
        "data.fold": "1 of 5",
        "data.num_workers": "4",
        "trainer.devices": "2",
        "model.optimizer.lr": "0.1",
    }
    assert recipe_of(params) == {"data.fold": "one of 5", "model.optimizer.lr": "0.1"}
    assert seeds_of(params) == "seed 1, split seed 2"


def test_a_title_is_the_name_of_most_runs() -> None:
    runs = [Named("net-seed0", "1", {}), Named("net-seed1", "2", {})]
    assert titles([[*runs, Named("odd", "3", {})]]) == ["net"]


def test_models_of_one_name_are_told_apart_by_what_differs() -> None:
    models = [
        [Named("net", "1", {"model.lr": "0.1", "data": "A"})],
        [Named("net", "2", {"model.lr": "0.2", "data": "A"})],
        [Named("other", "3", {"model.lr": "0.2", "data": "B"})],
    ]
    assert titles(models) == ["net (lr 0.1)", "net (lr 0.2)", "other"]


def test_models_that_differ_in_much_are_told_apart_by_their_runs() -> None:
    models = [
        [Named("net", f"{n}abcdef012345", {key: str(n) for key in "abcd"})]
        for n in (1, 2)
    ]
    assert titles(models) == ["net 1abcdef0", "net 2abcdef0"]


def test_only_what_differs_is_listed() -> None:
    table = differences({"a": {"lr": "1", "x": "1"}, "b": {"lr": "2", "x": "1"}})
    assert table.to_dict("index") == {"lr": {"a": "1", "b": "2"}}


def test_a_setting_that_one_recipe_lacks_differs() -> None:
    assert list(differences({"a": {"lr": "1"}, "b": {}}).index) == ["lr"]

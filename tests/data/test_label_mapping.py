import pytest

from clothing_lightning.data.label_mapping import map_labels, parse_map
from clothing_lightning.errors import ConfigError, DataError

CLASSES = ["Dress", "T-Shirt", "Trousers"]


def test_labels_mean_the_class_of_their_name_or_that_which_is_given() -> None:
    counts = {"Tee": 5, "Polo": 2, "Dress": 1, "Sock": 3, "Belt": 4}
    found = map_labels(counts, CLASSES, parse_map(["Tee=T-Shirt", " Polo = T-Shirt"]))
    assert found.classes == {"Dress": "Dress", "Polo": "T-Shirt", "Tee": "T-Shirt"}
    assert list(found.unmatched.items()) == [("Belt", 4), ("Sock", 3)]
    assert found.absent == ["Trousers"]


def test_a_given_class_goes_before_the_name() -> None:
    found = map_labels({"Dress": 1}, CLASSES, {"Dress": "Trousers"})
    assert found.classes == {"Dress": "Trousers"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["Tee"], r"'Tee' is not LABEL=CLASS"),
        (["=Dress"], r"'=Dress' is not LABEL=CLASS"),
        (["Tea=Dress"], r"'Tea' is no label of the data\. Closest names: Tee"),
        (["Tee=Tshirt"], r"'Tshirt' is no class of the run\. Closest names: T-Shirt"),
        (["Tee=zzz"], r"'zzz' is no class of the run\. There are Dress, T-Shirt"),
        (["Tee=Dress", "Tee=T-Shirt"], r"'Tee' is given twice, as 'Dress' and"),
    ],
)
def test_what_does_not_hold_is_told(given: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        map_labels({"Tee": 5, "Dress": 1}, CLASSES, parse_map(given))


def test_nothing_in_common_is_told_with_a_way_out() -> None:
    with pytest.raises(DataError, match=r'none in common.*--map "Sock=Dress"'):
        map_labels({"Sock": 5}, CLASSES, {})

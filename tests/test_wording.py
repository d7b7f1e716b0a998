"""How messages put things."""

import pytest

from clothing_lightning.wording import (
    closest,
    counted,
    joined,
    listed,
    markdown_cell,
    on_machine,
)


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (list("abc"), "a, b and c")],
)
def test_names_are_joined_as_in_a_sentence(names: list[str], text: str) -> None:
    assert joined(names) == text


def test_near_names_end_a_message() -> None:
    assert closest("resnet81", ["vgg11", "resnet18"]) == " Closest names: resnet18."
    assert closest("zzz", ["vgg11"]) == ""


def test_numbers_agree_with_their_nouns() -> None:
    assert counted(1, "image") == "1 image"
    assert counted(3000, "image") == "3,000 images"
    assert counted(0, "class", "classes") == "0 classes"


def test_machines_are_told_with_their_threads() -> None:
    assert on_machine("cpu", 1) == "cpu, 1 thread"
    assert on_machine("cpu", 2) == "cpu, 2 threads"
    assert on_machine("cpu", None) == "cpu"
    assert on_machine("NVIDIA H100", 16) == "NVIDIA H100"


def test_many_names_are_counted() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(n) for n in range(2000)], 2) == "0, 1 and 1,998 more"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("resnet18_frozen", "resnet18_frozen"),
        ("_own_", r"\_own\_"),
        ("a__b", r"a\_\_b"),
        ("two\nlines | <b>", r"two lines \| \<b>"),
    ],
)
def test_names_in_markdown_are_not_markup(text: str, cell: str) -> None:
    assert markdown_cell(text) == cell

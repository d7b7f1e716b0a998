import pytest

from clothing_lightning.tracking.names import without_repeat


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("resnet18", "resnet18"),
        ("resnet18-seed0", "resnet18"),
        ("resnet18, seed 12", "resnet18"),
        ("resnet18, fold 2 of 5, seed 1", "resnet18"),
        ("resnet18, split seed 3, seed 3", "resnet18"),
        ("seed 1", "seed 1"),
        ("linseed10x", "linseed10x"),
    ],
)
def test_a_name_loses_its_seed_and_fold(name: str, stem: str) -> None:
    assert without_repeat(name) == stem

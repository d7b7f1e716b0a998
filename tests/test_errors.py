import pytest

from clothing_lightning.errors import DataError, user_error_behind


def test_the_nearest_mistake_of_the_user_is_found() -> None:
    mistake = DataError("nearest")
    mistake.__cause__ = DataError("behind it")
    wrapped = ValueError("by a library")
    wrapped.__context__ = mistake
    assert user_error_behind(wrapped) is mistake


@pytest.mark.parametrize("length", [1, 3])
def test_a_circle_of_causes_has_an_end(length: int) -> None:
    errors = [ValueError(number) for number in range(length)]
    for number, error in enumerate(errors):
        error.__cause__ = errors[number - 1]
    assert user_error_behind(errors[0]) is None

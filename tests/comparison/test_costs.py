import math

import pytest

from clothing_lightning.comparison.costs import cost_text


@pytest.mark.parametrize(
    ("cost", "value", "text"),
    [
        ("params", 3_394_066, "3.39 M"),
        ("macs", 384e6, "384 M"),
        ("macs", 4.11e9, "4.11 G"),
        ("params", 12, "12"),
        ("size_mb", 13.74, "13.7 MB"),
        ("receptive_field_px", 851, "851 px"),
        ("train_s", 1380, "23 min"),
        ("train_s", 45, "45 s"),
        ("latency_ms", 4.321, "4.32 ms"),
        ("macs", math.nan, "-"),
    ],
)
def test_costs_are_told_in_units_that_people_read(
    cost: str, value: float, text: str
) -> None:
    assert cost_text(cost, value) == text

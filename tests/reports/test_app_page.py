"""The page that tries a network, as it is sent."""

import json
import re
from dataclasses import replace

from clothing_lightning.metrics.selective import Calibration
from clothing_lightning.reports.app_page import AppFacts, app_page

CURVE = ((0.8, 10, 10), (0.6, 20, 19), (0.0, 40, 30))
FACTS = AppFacts(
    title="<b>tiny</b>",
    backbone="test_resnet",
    class_count=3,
    calibration=Calibration(1.5, 40, CURVE),
    threshold=0.6,
    notes=("Photos stay on <i>this</i> computer.",),
    most_bytes=1000,
    media_type="application/octet-stream",
)


def test_names_are_no_markup() -> None:
    page = app_page(FACTS)
    assert "&lt;b&gt;tiny" in page
    assert "<b>tiny" not in page
    assert "<i>this" not in page


def test_nothing_comes_from_elsewhere() -> None:
    page = app_page(FACTS)
    assert "default-src 'none'" in page
    assert "connect-src 'self'" in page
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert "http" not in page.replace("http-equiv", "")


def test_thresholds_of_accuracies_that_are_reached_are_offered() -> None:
    buttons = re.findall(r'data-threshold="([\d.]+)">([^<]+)<', app_page(FACTS))
    expected = [("0", "all photos"), ("0.6", "90 %"), ("0.6", "95 %"), ("0.8", "99 %")]
    assert buttons == expected
    without = app_page(replace(FACTS, calibration=None))
    assert "data-threshold" not in without.partition("<script")[0]


def test_the_curve_is_on_the_page() -> None:
    (text,) = re.findall(r'type="application/json" id="data">(.*?)<', app_page(FACTS))
    data = json.loads(text)
    assert (data["threshold"], data["images"], len(data["points"])) == (0.6, 40, 3)
    threshold, answered, accuracy, low, high = data["points"][1]
    assert (threshold, answered, accuracy) == (0.6, 20, 0.95)
    assert low < 0.95 < high

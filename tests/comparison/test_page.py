"""The page of a comparison, without a browser."""

import base64
import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clothing_lightning.comparison import page_data as comparison_data
from clothing_lightning.comparison.page import comparison_page
from clothing_lightning.comparison.predictions import Comparison
from clothing_lightning.comparison.ranking import Ranking, rank
from clothing_lightning.comparison.tables import DASH, signed
from tests.compared_models import comparison

EVIL = """</script><script>alert("'$x'")</script>`{{ 7 * 7 }}{% x %}"><img src=x>"""
CLASSES = ("Dress", "Hat", "Shirt", "Polo", "Skirt", "Body", "Shoes")
VOID = {"img", "meta", "input", "br", "wbr", "link"}
OPEN_ENDED = {"li", "tr", "td", "th", "thead", "tbody", "p", "html", "option"}


def jpeg(_: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (300, 200), (200, 90, 40)).save(file, "JPEG")
    return file.getvalue()


def page_of(
    found: Comparison,
    ranking: Ranking | None = None,
    photo: Callable[[str], bytes | None] = lambda _: None,
    links: Mapping[str, str] | None = None,
    timed_on: str = "",
) -> str:
    return comparison_page(
        found,
        ranking or rank(found, resamples=50),
        title=f"My {EVIL}",
        command=f"compare {EVIL}",
        photo=photo,
        links=links or {},
        timed_on=timed_on,
    )


def with_metrics(
    found: Comparison,
    change: Callable[[Mapping[str, float] | None], Mapping[str, float] | None],
) -> Comparison:
    """The same with other metrics of its runs."""
    models = []
    for model in found.models:
        repeats = [
            replace(
                repeat,
                runs=tuple(replace(r, metrics=change(r.metrics)) for r in repeat.runs),
            )
            for repeat in model.repeats
        ]
        models.append(replace(model, repeats=tuple(repeats)))
    return replace(found, models=tuple(models))


class Page(HTMLParser):
    """Tags, tables by their label, and what scripts hold."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.table = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.tags.append(tag)
        self.ids += [known["id"] or ""] if "id" in known else []
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href")]
        assert not [name for name in known if name.startswith("on")]
        if tag not in VOID | OPEN_ENDED:
            self.open.append(tag)
        if known.get("role") == "region":
            self.table = known["aria-label"] or ""
            self.tables[self.table] = []
        if self.table and tag == "tr":
            self.tables[self.table].append([])
        if self.table and tag in ("td", "th"):
            self.tables[self.table][-1].append("")
        if tag == "script":
            self.scripts.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [v or "" for k, v in attrs if k == "id"]

    def handle_endtag(self, tag: str) -> None:
        if tag not in OPEN_ENDED:
            assert self.open.pop() == tag
        if tag == "table":
            self.table = ""

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts[-1] += data
        elif self.open[-1:] != ["style"]:
            self.words.append(data)
        if self.table and self.tables[self.table][-1:]:
            self.tables[self.table][-1][-1] += data.strip("\n")

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.scripts[0])
        return found


@pytest.fixture(scope="module")
def found() -> Comparison:
    """Three models, the first of two seeds, on two test sets."""
    skills = {"lite0": 2.6, "resnet18": 2.4, "own_cnn": 1.0}
    return comparison(skills, CLASSES, images=120, seeds={"lite0": 2}, splits=2)


@pytest.fixture(scope="module")
def ranking(found: Comparison) -> Ranking:
    return rank(found, resamples=200)


@pytest.fixture(scope="module")
def html(found: Comparison, ranking: Ranking) -> str:
    links = {run.run_id: f"http://h/{run.run_id}" for run in found.models[0].runs}
    return page_of(found, ranking, jpeg, links)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_page_is_whole_and_loads_nothing_from_elsewhere(page: Page, html: str) -> None:
    assert not re.findall(r"url\((?!#)|@import", html)
    outside = [a for a in page.addresses if not a.startswith(("#", "data:"))]
    assert {address.split("/")[2] for address in outside} == {"h"}  # links to runs
    assert len(page.ids) == len(set(page.ids))


def test_only_the_pages_own_script_may_run(page: Page, html: str) -> None:
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    digest = hashlib.sha256(page.scripts[1].encode()).digest()
    assert f"script-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert "eval" not in page.scripts[1]


def test_sections_come_in_the_order_of_the_questions(page: Page, html: str) -> None:
    assert re.findall("<section id=[^>]+><h2>(.*?)</h2>", html) == [
        "Ranking",
        "Is it real?",
        "Cost against quality",
        "Where two models differ",
        "Classes",
        "Slices",
        "Calibration",
        "Learning curves",
        "Settings that differ",
    ]


def test_ranking_has_scores_with_intervals_and_costs_with_units(
    page: Page, ranking: Ranking
) -> None:
    headings, first, *rest = page.tables["Ranking"]
    assert headings == [
        *("place", "model", "accuracy", "top-5", "macro F1", "balanced acc."),
        *("MCC", "parameters", "MACs", "size", "receptive field", "training"),
    ]
    score = ranking.models[0].scores["accuracy"]
    assert first[2] == (
        f"{score.value:.3f} ± {score.std:.3f}{score.low:.3f} to {score.high:.3f}"
    )
    assert first[7:] == ["1.1 M", "104 M", "4.4 MB", "299 px", "13 min"]
    assert "4 runs" in first[1]
    assert len(rest) == 4 + (1 + 2) + (1 + 2)


def test_runs_unfold_with_their_own_accuracy_seeds_and_link(
    page: Page, found: Comparison
) -> None:
    run = found.models[0].runs[0]
    row = next(row for row in page.tables["Ranking"] if run.run_id[:8] in "".join(row))
    names = list(run.predictions.columns[2:])
    best = run.predictions[names].to_numpy().argmax(axis=1)
    right = np.array(names)[best] == run.predictions["label"]
    assert row[1] == f"seed 0, split seed 0 · {run.run_id[:8]}"
    assert row[2] == f"{right.mean():.3f}of its 120 images"
    assert f"http://h/{run.run_id}" in page.addresses


def test_costs_that_are_not_known_are_dashes_and_have_no_figure(
    found: Comparison,
) -> None:
    page = Page(page_of(with_metrics(found, lambda _: None)))
    assert page.tables["Ranking"][1][7:] == [DASH] * 5
    assert "No cost is known." in page.text


def test_a_cost_that_is_the_same_for_all_comes_last_and_has_no_figure(
    found: Comparison,
) -> None:
    same = {"model/macs": 5e8, "model/params": 2e6, "model/size_mb": 8.0}
    page = Page(page_of(with_metrics(found, lambda own: {**(own or {}), **same})))
    costs = [f"cost-{name}" for name in ("train_s", "macs", "params", "size_mb")]
    assert [name for name in page.ids if name in costs] == costs
    assert "All need the same MACs (500 M)." in page.text
    assert "MACs: the same for all (500 M)." in page.text
    drawn = {name.split("-figure")[0] for name in page.ids if "-figure" in name}
    assert drawn & set(costs) == {"cost-train_s"}


def test_latencies_are_shown_with_what_they_were_measured_on(
    found: Comparison,
) -> None:
    times = iter((7.0, 5.0, 9.0, 8.0, 6.0, 5.5, 4.5, 4.0))
    timed = with_metrics(found, lambda own: {"model/latency_ms": next(times)})
    page = Page(page_of(timed, timed_on="CPU, 2 threads"))
    assert "the median of one image at a time, CPU, 2 threads." in page.text
    assert "latency" in page.tables["Ranking"][0]
    assert "cost-latency_ms-figure" in " ".join(page.ids)


def test_repeats_are_told_of_only_where_they_vary(found: Comparison) -> None:
    """Two seeds of one model; other splits are no repeats of the same test."""
    single = comparison({"a": 2.0, "b": 1.0}, CLASSES, images=60)
    assert "standard deviation over repeats" in Page(page_of(found)).text
    assert "standard deviation over repeats" not in Page(page_of(single)).text


def test_address_that_would_run_a_script_is_no_link(found: Comparison) -> None:
    run = found.models[0].runs[0]
    page = Page(page_of(found, links={run.run_id: "javascript:alert(1)"}))
    assert not [a for a in page.addresses if a.startswith("javascript")]


def test_remarks_are_told_first(found: Comparison) -> None:
    remark = "Test images differ <b>a lot</b>."
    html = page_of(replace(found, remarks=(remark,)))
    assert html.index("Test images differ &lt;b&gt;a lot") < html.index("highest acc")
    assert "Read this first" in Page(html).text


def test_answer_names_the_best_and_who_cannot_be_told_apart(
    page: Page, found: Comparison
) -> None:
    assert "lite0 has the highest accuracy" in page.text
    assert f"at n = {len(found.images)}" in page.text
    assert "about" in page.text


def test_every_pair_is_told_with_its_tests(page: Page, ranking: Ranking) -> None:
    _, *rows = page.tables["Tests of pairs"]
    assert [row[:2] for row in rows] == [
        ["lite0", "resnet18"],
        ["lite0", "own_cnn"],
        ["resnet18", "own_cnn"],
    ]
    pair = ranking.pair(0, 1)
    ends = f"{signed(pair.accuracy.low)} to {signed(pair.accuracy.high)}"
    assert (
        rows[0][2]
        == f"{signed(pair.accuracy.difference)} ± {pair.accuracy.std:.3f}{ends}"
    )
    assert rows[0][4] == f"{pair.accuracy.p_holm:.3f}"
    assert rows[1][4] == "< 0.001"


def test_of_many_models_each_is_held_to_the_best() -> None:
    skills = {f"network {n}": 1 + n / 10 for n in range(14)}
    page = Page(page_of(comparison(skills, CLASSES, images=60)))
    _, *rows = page.tables["Tests of pairs"]
    assert len(rows) == 13
    assert {row[0] for row in rows} == {"network 13"}
    assert len(page.data["pairs"]) == 14 * 13 / 2
    assert "of the best 8 models" in page.text
    assert len(page.tables["Calibration"]) == 1 + 8


def test_one_model_has_a_page_without_pairs() -> None:
    page = Page(page_of(comparison({"a": 2.0}, CLASSES, images=60)))
    assert "Tests of pairs" not in page.tables
    assert page.data["pairs"] == []


def test_names_from_outside_are_text() -> None:
    found = comparison({EVIL: 2.0, 'a "b" \\': 1.0}, ("Hat", EVIL), images=80)
    images = found.images.assign(path=found.images["path"] + EVIL, kids=EVIL)
    images.loc[:20, "kids"] = '"><img src=x>'
    found = replace(found, images=images, remarks=(EVIL,))
    html = page_of(found, photo=jpeg, links={})
    page = Page(html)
    assert page.tags.count("script") == 2
    assert [a for a in page.addresses if not a.startswith(("#", "data:"))] == []
    assert set(page.data["classes"]) == {"Hat", EVIL}
    assert page.data["paths"][0].endswith(EVIL)
    assert page.data["models"][0]["title"] == found.models[0].title
    assert "<script>alert" not in html
    assert "<img src=x" not in html


def numbers(text: str, kind: str) -> list[int]:
    values: list[int] = np.frombuffer(base64.b64decode(text), kind).tolist()
    return values


def test_predictions_are_in_the_page_as_bytes(
    page: Page, found: Comparison, ranking: Ranking
) -> None:
    data = page.data
    assert numbers(data["labels"], "u1") == found.labels.tolist()
    for text, places in zip(data["tests"], found.tests, strict=True):
        assert numbers(text, "<u4") == places.tolist()
    for model, ranked in zip(data["models"], ranking.models, strict=True):
        assert model["title"] == ranked.model.title
        for written, repeat in zip(model["repeats"], ranked.model.repeats, strict=True):
            assert written["test"] == repeat.test
            assert numbers(written["predicted"], "u1") == repeat.predicted.tolist()


def test_pairs_have_names_for_their_numbers(page: Page, ranking: Ranking) -> None:
    written = page.data["pairs"][0]
    pair = ranking.pair(0, 1)
    assert (written["a"], written["b"]) == (0, 1)
    assert written["images_needed"] == pair.needed
    assert written["accuracy"]["difference"] == pytest.approx(
        pair.accuracy.difference, 1e-5
    )
    assert written["accuracy"]["p_holm"] == pytest.approx(pair.accuracy.p_holm, 1e-5)
    assert written["macro_f1"]["low"] == pytest.approx(pair.macro_f1.low, 1e-5)


def test_photos_are_small_and_show_both_directions_of_the_best_pair(
    page: Page, found: Comparison, ranking: Ranking
) -> None:
    photos = {int(image): text for image, text in page.data["photos"].items()}
    with Image.open(io.BytesIO(base64.b64decode(photos[min(photos)]))) as image:
        assert image.size == (160, 107)
    a, b = (
        np.nanmean(found.rights(ranked.model), axis=0) for ranked in ranking.models[:2]
    )
    for gap in (a - b, b - a):
        assert set(np.flatnonzero(gap >= 0.5)[:1]) <= set(photos)


def test_number_of_photos_is_bounded(
    found: Comparison, ranking: Ranking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison_data, "PHOTOS", 5)
    asked: list[str] = []

    def photo(content: str) -> bytes:
        asked.append(content)
        return jpeg(content)

    data = comparison_data.page_data(found, ranking, photo)
    assert len(data["photos"]) == len(asked) == 5


@pytest.mark.parametrize("file", [b"", b"no image", jpeg("")[:200]])
def test_photo_that_cannot_be_read_is_left_out(
    found: Comparison, ranking: Ranking, file: bytes
) -> None:
    assert comparison_data.page_data(found, ranking, lambda _: file)["photos"] == {}


def test_slices_and_settings_have_the_models_in_order(page: Page) -> None:
    _, *rows = page.tables["Accuracy by kids"]
    assert [row[0] for row in rows] == ["lite0", "resnet18", "own_cnn"]
    headings, *rows = page.tables["Settings that differ"]
    assert headings == ["setting", "lite0", "resnet18", "own_cnn"]
    assert rows == [
        ["model.backbone", "lite0", "resnet18", "own_cnn"],
        ["trainer.max_epochs", "6", "7", "6"],
    ]

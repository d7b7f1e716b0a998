import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from clothing_lightning.network_analysis.complexity import NetworkReport
from clothing_lightning.reports.analysis_page import analysis_page

Analysed = Callable[..., NetworkReport]
EVIL = """<script>alert('&')</script>"><img src=x onerror=y>`{{ 7 * 7 }}{% x %}"""


class Page(HTMLParser):
    """What a browser makes of a page: its tables, text and addresses."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.in_table = False
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("src", "href"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag == "table":
            self.in_table = True
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")
        self.in_table &= tag != "table"

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.in_table and self.tables[-1][-1:] not in ([], [[]]):
            self.tables[-1][-1][-1] += data.rstrip("\n")

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def page_of(*reports: NetworkReport) -> Page:
    advice = {report.title: f"Advice on {report.title}." for report in reports}
    notes = {report.title: ["torch counts as many MACs."] for report in reports}
    return Page(analysis_page(reports, advice, notes))


@pytest.fixture(scope="module")
def page(analysed: Analysed) -> Page:
    """The page of one network."""
    return page_of(analysed("resnet18"))


@pytest.fixture(scope="module")
def two(analysed: Analysed) -> Page:
    """The page of two networks, the second with names that look like HTML."""
    report = analysed("test_resnet", 64, 96)
    layers = [replace(layer, name=EVIL, type=EVIL) for layer in report.layers[:3]]
    seen = replace(
        report.field,
        field=None,
        global_from=EVIL,
        unknown_ops=[EVIL],
        misaligned={EVIL: 2.0},
    )
    return page_of(report, replace(report, name=EVIL, layers=layers, field=seen))


def test_facts_have_units(page: Page) -> None:
    facts = dict(page.tables[0])
    assert facts == {
        "image": "224 x 224 px, batch 1",
        "features": "[1, 512, 7, 7]",
        "parameters": "11,689,512",
        "size of the parameters": "46.8 MB in float32, 23.4 MB in float16, "
        "11.7 MB in int8",
        "MACs": "1,814,073,344 (1.81 GMACs)",
        "FLOPs (2 x MACs)": "3,628,146,688 (3.63 GFLOPs)",
        "other operations": facts["other operations"],
        "peak activations": "6.42 MB, float32",
        "receptive field": "435 x 435 px, 194 % of the side of the image",
        "stride": "32 x 32 px",
        "padding": "217 x 217 px",
        "positions": "7 x 7",
        "whole image from": "no layer before the classifier",
        "layers over whole rows, columns or images": "none",
        "local windows, as of attention": "none",
        "operations that could not be followed": "none",
        "joins of paths with different centres": "none",
    }


def test_every_layer_has_a_row(page: Page, analysed: Analysed) -> None:
    report = analysed("resnet18")
    headings, *rows = page.tables[2]
    assert [row[1] for row in rows] == [layer.name for layer in report.layers]
    first = dict(zip(headings, rows[0], strict=True))
    assert first == {
        "#": "1",
        "layer": "conv1",
        "type": "Conv2d",
        "input": "[1, 3, 224, 224]",
        "output": "[1, 64, 112, 112]",
        "kernel": "7 x 7",
        "stride": "2 x 2",
        "groups": "1",
        "filters": "64",
        "parameters": "9,408",
        "million MACs": "118.014",
        "% of MACs": "6.51",
        "million FLOPs": "236.028",
        "output MB": "3.211",
        "field px": "7 x 7",
    }
    assert {len(row) for row in rows} == {len(headings)}


def test_costliest_layers_come_first(page: Page) -> None:
    macs = [float(row[10]) for row in page.tables[1][1:]]
    assert len(macs) == 10
    assert macs == sorted(macs, reverse=True)


def test_advice_and_notes_are_on_the_page(page: Page) -> None:
    assert "What resnet18 at 224 x 224 sees and costs" in page.text
    assert "Advice on resnet18 at 224 x 224." in page.text
    assert "torch counts as many MACs." in page.text


def test_page_needs_nothing_from_elsewhere(page: Page) -> None:
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert not re.search(r"https?:|@import|url\(", page.text)
    assert not {"link", "iframe"} & set(page.tags)
    assert "{{" not in page.text


def test_only_the_pages_own_script_may_run(analysed: Analysed) -> None:
    html = analysis_page([analysed("test_resnet", 64, 96)], {}, {})
    (script,) = re.findall("<script>(.*?)</script>", html, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}';" in html


def test_several_networks_are_compared_first(two: Page) -> None:
    headings, *rows = two.tables[0]
    size, field = headings.index("image px"), headings.index("field px")
    assert [(row[size], row[field]) for row in rows] == [
        ("64 x 96", "167 x 167"),
        ("64 x 96", "unknown"),
    ]
    links = [address for address in two.addresses if address.startswith("#")]
    assert links == [f"#{name}" for name in two.ids] == ["#network-0", "#network-1"]


def test_names_are_text_and_not_html(two: Page) -> None:
    assert two.tags.count("script") == two.tags.count("/script") == 1
    assert all(address.startswith(("#", "data:image/")) for address in two.addresses)
    assert two.tables[0][2][0] == EVIL
    facts = dict(two.tables[4])
    assert facts["joins of paths with different centres"] == f"{EVIL}: 2 px"
    assert facts["operations that could not be followed"] == EVIL
    assert [row[1:3] for row in two.tables[-1][1:]] == [[EVIL, EVIL]] * 3
    assert f"Advice on {EVIL} at 64 x 96." in two.text


def test_page_of_many_layers_is_small_and_complete(analysed: Analysed) -> None:
    report = analysed("test_resnet", 64, 96)
    layers = (report.layers * 12)[:600]
    html = analysis_page([replace(report, layers=layers)], {}, {})
    assert len(html) < 500_000
    assert "All 600 layers" in html
    assert len(Page(html).tables[2]) == 1 + 600

"""The page of an audit and what the terminal shows."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from clothing_lightning.data.audit import Audit, Source, audit
from clothing_lightning.data.near_duplicates import NearDuplicates
from clothing_lightning.reports import audit_page as page_module
from clothing_lightning.reports.audit_page import audit_page
from clothing_lightning.reports.audit_text import json_text, show

NASTY = """<script>alert('$x')</script>"><img src=x onerror=y>`{{ 7 * 7 }}"""
VOID = {"img", "meta", "wbr", "br", "link"}
OPEN_ENDED = {"li", "tr", "td", "th", "thead", "tbody", "p", "body", "html"}


class Tags(HTMLParser):
    """Counts tags, and checks that they are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.counts: dict[str, int] = {}

    def handle_starttag(
        self, tag: str, attributes: list[tuple[str, str | None]]
    ) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        assert not [name for name, _ in attributes if name.startswith("on")]
        if tag not in VOID | OPEN_ENDED:
            self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in OPEN_ENDED:
            assert self.opened.pop() == tag


def tags(page: str) -> dict[str, int]:
    parser = Tags()
    parser.feed(page)
    assert parser.opened == []
    return parser.counts


@pytest.fixture
def found(tmp_path: Path) -> Audit:
    """Eight images: two identical with different labels, two alike, one unreadable."""
    paths = [f"photos/{n} & more.jpg" for n in range(8)]
    (tmp_path / "photos").mkdir()
    for n, path in enumerate(paths):
        pixels = np.random.default_rng(n).integers(0, 256, (60, 80, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / path)
    table = pd.DataFrame(
        {
            "path": paths,
            "label": [NASTY, "Hat"] * 4,
            "group": "[bold]me",
            "split": ["train", "test", "train", "val", "train", "train", "val", "test"],
            "sha256": list("aabcdefg"),
        }
    )
    near = pd.DataFrame(
        {
            "path_a": [paths[2]],
            "path_b": [paths[3]],
            "distance": [4],
            "mirrored": [True],
            "similarity": [0.9761],
        }
    )
    sizes = {"width": 80, "height": 60, "phash": "0" * 16}
    bad = {"path": ["<i>.jpg"], "label": ["Hat"], "reason": ["<i>.jpg: is empty"]}
    return audit(
        Source(
            name="my <set>",
            root=str(tmp_path),
            table=table,
            inspected=pd.DataFrame(sizes, index=paths),
            unreadable=pd.DataFrame(bad),
            findings={"rows with an excluded label": 2},
            near=NearDuplicates(near, 5, 5),
            group_noun="sender",
        )
    )


def test_page_is_whole_and_needs_nothing_from_elsewhere(found: Audit) -> None:
    page = audit_page(found, "python -m clothing_lightning.fit 'a & b.yaml'")
    assert tags(page)["article"] == 2
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "a &amp; b.yaml" in page


def test_names_from_files_are_text(found: Audit) -> None:
    page = audit_page(found, "fit")
    assert "script" not in tags(page)
    assert "default-src 'none'; style-src" in page  # no script may run
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(&#39;$x&#39;)&lt;/script&gt;" in page
    assert "my &lt;set&gt;: 8 images in 2 classes" in page
    assert "<i>" not in page
    assert "photos/<wbr>2 &amp; more.jpg" in page


def test_pairs_have_their_facts_beside_the_photos(found: Audit) -> None:
    page = audit_page(found, "fit")
    first, second = re.findall("<article>.*?</article>", page, re.DOTALL)
    for article in (first, second):
        assert article.count("data:image/jpeg;base64,") == 2
        assert "<b>labels differ</b><b>train and not</b>" in article
        assert "sender [bold]me" in article
    assert "the same file" in first
    assert "98% similar, mirrored" in second


def test_number_of_photos_is_bounded(
    found: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "PAIRS_SHOWN", 1)
    monkeypatch.setattr(page_module, "PHOTOS_SHOWN", 3)
    page = audit_page(found, "fit")
    assert page.count("data:image/jpeg") == 2 + 3
    assert "The first 1 of 2." in page
    assert "The smallest images (8)" in page


def test_photo_that_is_gone_is_said_to_be(found: Audit) -> None:
    (Path(found.source.root) / "photos/0 & more.jpg").unlink()
    assert "<p>cannot be read</p>" in audit_page(found, "fit")


def test_text_fits_a_terminal_and_begins_with_the_worst(
    found: Audit, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show(found, "audits/set/index.html", "python -m clothing_lightning.fit x.yaml")
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    places = [
        text.index(words)
        for words in (
            "my <set>: 8 images in 2 classes (4 train, 2 val, 2 test)",
            "To put right before training\n  - 1 image cannot be read.",
            "To look at",
            "Good to know",
            "Page: audits/set/index.html",
            "Next: python -m clothing_lightning.fit x.yaml",
        )
    ]
    assert places == sorted(places)
    assert NASTY.split()[0] in text


def test_json_has_the_numbers(found: Audit) -> None:
    told = json.loads(json_text(found))
    assert told["counts"]["Hat"] == {"train": 1, "val": 1, "test": 2}
    assert told["also_in_train"]["identical"] == {"val": 0, "test": 1}
    assert told["also_in_train"]["nearly"] == {"val": 1, "test": 1}
    assert told["group_also_in_train"] == {"val": 1.0, "test": 1.0}
    assert told["sizes"]["smallest"] == "80 x 60"
    numbers = ("unreadable", "identical_sets", "identical_copies")
    assert [told[name] for name in numbers] == [1, 1, 1]
    assert told["pairs_with_different_labels"] == 2
    assert told["issues"][0]["what"] == "1 image cannot be read."

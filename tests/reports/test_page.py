"""What all pages share: escaping, and places where names may break."""

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from clothing_lightning.reports.page import breakable, render

EVIL = """</script><script>"><img src=x onerror=y>'`&{{ 7 * 7 }}"""


def test_names_break_behind_dots_and_are_escaped() -> None:
    assert breakable("a.b_c/d") == "a.<wbr>b_<wbr>c/<wbr>d"
    assert breakable("a.b/c", "/") == "a.b/<wbr>c"
    assert isinstance(breakable(EVIL), Markup)
    assert breakable("<b>&'").unescape() == "<b>&'"
    assert "<img" not in breakable(EVIL)


def test_a_page_that_misses_a_value_is_not_written() -> None:
    with pytest.raises(UndefinedError, match="title"):
        render("base.html", css_file="page.css")


def test_what_a_page_says_is_text() -> None:
    page = render(
        "analysis_page.html", title=EVIL, networks=[], costs=None, command=EVIL
    )
    assert page.count("<script>") == page.count("</script>") == 1
    assert "<img" not in page
    assert page.count("{{ 7 * 7 }}") == 3  # title, heading, command

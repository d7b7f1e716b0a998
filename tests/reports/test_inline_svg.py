from matplotlib.figure import Figure

from clothing_lightning.reports import style
from clothing_lightning.reports.inline_svg import inline_svg

EVIL = 'id="x" <script>&: #20242c'


def drawn(key: str) -> str:
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=style.BLUE, marker="o", gid="line-0")
    axes.set_title(EVIL, color=style.INK)
    return inline_svg(style.finished(figure), key, f"alt {EVIL}", {"line-0": EVIL})


def test_colours_are_variables_of_the_page() -> None:
    svg = drawn("one")
    assert "stroke: var(--blue)" in svg
    assert "fill: var(--ink)" in svg
    assert style.BLUE.lower() not in svg.lower()
    assert "<style" not in svg


def test_ids_of_two_figures_differ() -> None:
    assert 'id="one-line-0"' in drawn("one")
    assert 'id="line-0"' not in drawn("one")
    assert "url(#one-" in drawn("one")
    assert "one-" not in drawn("two")


def test_text_stays_text_as_it_is() -> None:
    svg = drawn("one")
    assert "<script>" not in svg
    assert '>id="x" &lt;script&gt;&amp;: #20242c</text>' in svg
    assert "<title>id=&quot;x&quot; &lt;script&gt;" in svg


def test_the_same_figure_is_written_alike() -> None:
    assert drawn("one") == drawn("one")

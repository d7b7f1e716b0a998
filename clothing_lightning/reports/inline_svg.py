"""Figures as part of a page: text stays text, and colours follow the page's theme."""

import re
from collections.abc import Mapping
from html import escape
from io import StringIO

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from clothing_lightning.reports import style

_COLOURS = {
    "#000000": "ink",
    style.INK: "ink",
    style.MUTED: "muted",
    style.FAINT: "line",
    style.BLUE: "blue",
    style.ORANGE: "orange",
    style.GREEN: "green",
    style.PURPLE: "purple",
}
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def inline_svg(
    figure: Figure, key: str, alt: str, titles: Mapping[str, str] | None = None
) -> Markup:
    """Write a figure as an element of a page.

    Args:
        figure: A figure with the colours of `style`. They become variables of the
            page's CSS, of the names ``--ink``, ``--muted``, ``--line``, ``--blue`` and
            so on.
        key: Letters that no other figure of the page has; all ids of this one begin
            with them.
        alt: What the figure shows, for those who do not see it.
        titles: The text that appears where a part of the figure is pointed at, by the
            matplotlib ``gid`` of the part.
    """
    file = StringIO()
    # Ids are made from the salt; without one they differ from page to page.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": key}):
        figure.savefig(file, format="svg", transparent=True, metadata=_NO_METADATA)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    # Its style sheet would hold for the whole page.
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    for gid, title in (titles or {}).items():
        mark = f'<g id="{gid}">'
        svg = svg.replace(mark, f"{mark}<title>{escape(title)}</title>")
    svg = re.sub(r"<[^>]+>", lambda tag: _themed(tag.group(), key), svg)
    width_px = 96 * figure.get_size_inches()[0]
    head = f'<svg role="img" aria-label="{escape(alt)}" style="width:{width_px:.0f}px"'
    svg = svg.replace("<svg", head, 1)
    return Markup(f'<figure class="drawn" tabindex="0">{svg}</figure>')


def _themed(tag: str, key: str) -> str:
    """Give a tag ids that no other figure has, the page's colours, and usual fonts."""
    tag = re.sub(r'( id="|href="#|url\(#)', rf"\1{key}-", tag)
    for colour, variable in _COLOURS.items():
        tag = re.sub(f": {colour}", f": var(--{variable})", tag, flags=re.IGNORECASE)
    return tag.replace("'DejaVu Sans'", "'DejaVu Sans', system-ui, sans-serif")

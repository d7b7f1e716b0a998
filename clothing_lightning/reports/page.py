"""Pages from the templates of this package: one file each, complete in itself."""

import math
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from io import BytesIO

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

_DPI = 144
_COLOURS = 128


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What it shows.
        value: The number by which the column is sorted, where it is not sorted by the
            text. NaN is a number that is not known.
        note: A second, smaller line.
        kind: The CSS class of the cell.
    """

    text: str
    value: float = math.nan
    note: str = ""
    kind: str = ""


Row = Sequence[str | Cell]


@dataclass(frozen=True)
class Table:
    """A table whose rows are named by their first cell.

    Attributes:
        kind: The CSS class of the table.
        caption: What the table shows, for those who do not see it.
        headings: The heading of each column.
        rows: The cells of each row.
    """

    kind: str
    caption: str
    headings: Sequence[str | Cell]
    rows: Sequence[Row]


@dataclass(frozen=True)
class Picture:
    """A picture that stands in the page itself.

    Attributes:
        src: The picture as a ``data:`` address.
        width_px: The width at which it is shown.
        height_px: The height at which it is shown.
    """

    src: str
    width_px: int
    height_px: int


def render(template: str, **content: object) -> str:
    """Write a page that needs nothing from elsewhere.

    Args:
        template: The name of a template that extends ``base.html``.
        content: What the template shows. All texts are escaped.
    """
    return _ENVIRONMENT.get_template(template).render(content)


def png(figure: Figure) -> Picture:
    """Draw a figure with few colours, which takes a third of the bytes."""
    drawn, small = BytesIO(), BytesIO()
    quick = {"compress_level": 1}
    figure.savefig(drawn, dpi=_DPI, format="png", facecolor="white", pil_kwargs=quick)
    image = Image.open(drawn).convert("RGB")
    image.quantize(_COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Picture(data_address("image/png", small.getvalue()), width, height)


def data_address(media_type: str, data: bytes) -> str:
    """Put the bytes of a file into an address that a page can show."""
    return f"data:{media_type};base64,{b64encode(data).decode()}"


def breakable(name: str, after: str = "._/") -> Markup:
    """Escape a name, and let a line break after some of its characters."""
    return Markup("<wbr>").join(re.split(f"(?<=[{re.escape(after)}])", name))


def _packaged(name: str) -> Markup:
    """Read a style sheet or script of ours, which stands in the page as it is."""
    return Markup(files(__package__).joinpath("templates", name).read_text("utf-8"))


def _digest(script: str) -> str:
    """The SHA-256 of a script, as a Content-Security-Policy names it."""
    return b64encode(sha256(script.encode()).digest()).decode()


_ENVIRONMENT = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "breakable": breakable,
    "digest": _digest,
    "packaged": _packaged,
}
_ENVIRONMENT.tests["known"] = lambda value: not math.isnan(value)
_ENVIRONMENT.policies["json.dumps_kwargs"] = {
    "ensure_ascii": False,
    "separators": (",", ":"),
    "allow_nan": False,
}

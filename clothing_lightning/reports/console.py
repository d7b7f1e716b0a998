"""Lines on the terminal; of several devices the first alone prints."""

from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.text import Text

from clothing_lightning.wording import printable_lines


@rank_zero_only
def say(text: str) -> None:
    """Print a line, with nothing in it taken for markup or for a terminal's command."""
    Console().print(Text(printable_lines(text)), soft_wrap=True)


@rank_zero_only
def warn(text: str) -> None:
    """Print a warning, with nothing in it taken for markup."""
    line = Text.assemble(("warning:", "bold yellow"), f" {printable_lines(text)}")
    Console().print(line, soft_wrap=True)

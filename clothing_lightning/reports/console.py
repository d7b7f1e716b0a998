"""Lines on the terminal; of several devices the first alone prints."""

from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console


@rank_zero_only
def say(text: str) -> None:
    """Print a line."""
    Console().print(text, highlight=False, soft_wrap=True)


@rank_zero_only
def warn(text: str) -> None:
    """Print a line that stands out."""
    Console().print(f"[bold yellow]warning:[/] {text}", highlight=False, soft_wrap=True)

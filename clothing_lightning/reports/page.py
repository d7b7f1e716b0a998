"""What pages share: one file each, complete in itself, from a template beside this."""

from importlib.resources import files
from string import Template


def packaged(name: str) -> str:
    """Text of a file of this package."""
    return files(__package__).joinpath("templates", name).read_text("utf-8")


def filled(template: str, **parts: str) -> str:
    """Fill a template; its ``css`` is what all pages look like.

    Args:
        template: Name of a file of this package.
        parts: What stands for each ``${name}``.
    """
    return Template(packaged(template)).substitute(css=packaged("page.css"), **parts)

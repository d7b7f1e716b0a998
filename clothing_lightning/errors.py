"""The errors that users meet: one message each, exit code 2, no traceback.

A message names the subject as the user spelled it, says what was found and what
was expected, and gives the next step. Everything else that is raised is a fault
of ours and keeps its traceback.
"""

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130  # what a shell reports for a process that SIGINT ended


class UserError(Exception):
    """A mistake or a circumstance that the user can put right."""


class ConfigError(UserError, ValueError):
    """A setting does not hold: unknown name, value out of range, wrong type."""


class DataError(UserError, ValueError):
    """A data set is there, but not as it has to be."""


class DatasetNotFoundError(UserError, FileNotFoundError):
    """A data set is not where it was looked for."""


class DownloadError(UserError, OSError):
    """A file could not be fetched, or is not the one that was expected."""


class ImageError(UserError, ValueError):
    """A file cannot be read as an image, or is too large to be read safely."""


class WeightsError(UserError, ValueError):
    """Pretrained weights cannot be had, or do not fit the network."""


class RunError(UserError, LookupError):
    """A run cannot be found, or cannot be continued."""


class ExportError(UserError):
    """A network cannot be exported, or what was exported is another function."""


class StorageError(UserError, OSError):
    """Results cannot be written: no space, no permission."""


def causes(err: BaseException | None) -> list[BaseException]:
    """An exception and what it was raised from, the innermost last."""
    chain: list[BaseException] = []  # `raise err from err` makes it a circle
    while err is not None and not any(err is earlier for earlier in chain):
        chain.append(err)
        err = err.__cause__ or err.__context__
    return chain


def user_error_behind(err: BaseException | None) -> UserError | None:
    """The nearest mistake of the user that an exception was raised from.

    jsonargparse wraps what constructors raise, more than once.
    """
    return next((each for each in causes(err) if isinstance(each, UserError)), None)

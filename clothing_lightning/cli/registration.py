"""The options that register a model, of each command that can."""

import argparse
from importlib.util import find_spec

from clothing_lightning.errors import ConfigError
from clothing_lightning.tracking.registry import Registration


def add_registration(parser: argparse.ArgumentParser) -> None:
    """Add ``--register``, ``--alias`` and ``--if-better``."""
    add = parser.add_argument_group("MLflow's registry of models").add_argument
    add("--register", metavar="NAME", help="make a new version of a registered model")
    add("--alias", metavar="ALIAS", help="point an alias to it, such as champion")
    add(
        *("--if-better", "--if_better"),
        action="store_true",
        help="only if its accuracy is better beyond chance than that of the version "
        "there, on the same test images",
    )


def registration_of(options: argparse.Namespace) -> Registration | None:
    """Return what the options ask for; None if nothing is registered.

    Raises:
        ConfigError: If a name does not hold, or an option lacks the one before it.
    """
    if options.register is not None:
        return Registration(options.register, options.alias, options.if_better)
    given = {"--alias": options.alias is not None, "--if-better": options.if_better}
    for flag in (flag for flag, is_given in given.items() if is_given):
        raise ConfigError(f"{flag}: is of a registered model. Add --register NAME.")
    return None


def require_libraries() -> None:
    """Make sure that a model can be written, before anything is computed.

    Raises:
        ConfigError: If a library is not installed.
    """
    for name in ("onnx", "onnxruntime", "onnxscript"):
        if find_spec(name) is None:
            raise ConfigError(
                f"--register: {name} is not installed, and the model needs it. pip "
                "install 'clothing-lightning[export]'"
            )

"""``python -m clothing_lightning`` lists the commands."""

import sys
from importlib import import_module

COMMANDS = (
    "fit",
    "evaluate",
    "predict",
    "compare",
    "compress",
    "analyze",
    "export",
    "app",
    "prepare",
)


def main() -> None:
    """Print what each command does, in the words of its module."""
    title = "clothing_lightning: which classifier is best on your clothing photos?"
    lines = [title, ""]
    for command in COMMANDS:
        module = import_module(f"clothing_lightning.{command}")
        purpose = (module.__doc__ or "").splitlines()[0]
        lines += [f"  python -m clothing_lightning.{command}", f"      {purpose}"]
    lines += [
        "",
        "Each command explains itself with --help. The runs: make ui, or",
        "mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""Write the network of a run in a format that others read, checked and described."""

import sys
from collections.abc import Sequence
from pathlib import Path

from clothing_lightning.cli.command import (
    CommandParser,
    claim_folder,
    require_run_first,
    run_command,
)
from clothing_lightning.cli.registration import add_registration, registration_of
from clothing_lightning.errors import ConfigError

TARGETS = ("onnx", "safetensors", "torch", "mlflow")
DESCRIPTION = """\
Writes the best network of a run as a file that other software reads, with a
model card beside it. The file is read back and run on the run's test images: if
one class is another, or a probability differs by more than 0.0001, nothing is
written. RUN is a run's id, the start of it, its name, or a checkpoint's path.

  ... export b4ff3c49
  ... export b4ff3c49 --with-preprocessing --out shirts
  ... export b4ff3c49 --to safetensors --push-to-hub anna/clothes --private
  ... export b4ff3c49 --to mlflow --register clothes --alias champion --if-better
"""
EPILOG = """\
onnx runs in ONNX Runtime, without torch (pip install 'clothing-lightning[export]');
safetensors has weights and the config.json that timm.create_model('local-dir:...')
reads; torch is a program of torch.export (.pt2); mlflow is a model of the run in
MLflow, which mlflow models serve answers with, and a folder if --out names one.

Exit codes: 0 exported; 2 something to put right (one message says what); 130
interrupted.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on these words, else the process's; return the exit code."""
    return run_command(argv, _parser().format_help(), _export)


def _parser() -> CommandParser:
    parser = CommandParser(
        "export",
        "RUN [--to onnx|safetensors|torch|mlflow] [...]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("--to", choices=TARGETS, default="onnx", help="the format (onnx)")
    add(
        *("--with-preprocessing", "--with_preprocessing"),
        action="store_true",
        help="put resize, crop and normalisation into the ONNX file, which then takes "
        "photos of any size as they are decoded, uint8 RGB",
    )
    add("--out", metavar="FOLDER", help="where the files go (exports/RUN-FORMAT)")
    add("--root", metavar="FOLDER", help="where the run's own images are now")
    add_registration(parser)
    add = parser.add_argument_group("the Hugging Face Hub").add_argument
    add(
        *("--push-to-hub", "--push_to_hub"),
        metavar="USER/NAME",
        help="upload the files and the card as well, with the token in HF_TOKEN or of "
        "hf auth login",
    )
    add("--private", action="store_true", help="a new repository is seen by you alone")
    return parser


def _export(words: list[str]) -> int:
    require_run_first(words)
    options = _parser().parse_args(words[1:])
    registration = registration_of(options)
    if registration and options.to != "mlflow":
        raise ConfigError(
            "--register: MLflow registers models of its own kind. Use --to mlflow in "
            f"the place of --to {options.to}."
        )
    if options.private and options.push_to_hub is None:
        raise ConfigError("--private: is of --push-to-hub. Give that, too.")
    folder = None
    if options.out or options.to != "mlflow":
        default = Path("exports") / f"{Path(words[0]).stem}-{options.to}"
        folder = Path(options.out).expanduser() if options.out else default
        claim_folder(folder, "README.md", "an export", "---\nlibrary_name: ")
    from clothing_lightning.cli.third_party_warnings import quiet_libraries
    from clothing_lightning.comparison.promotion import promote
    from clothing_lightning.compression.export import ExportRequest, export
    from clothing_lightning.compression.hub import HubRepository

    hub = None
    if options.push_to_hub is not None:
        hub = HubRepository(options.push_to_hub, options.private)
    request = ExportRequest(
        run=words[0],
        target=options.to,
        folder=folder,
        with_preprocessing=options.with_preprocessing,
        root=options.root,
        hub=hub,
    )
    quiet_libraries()
    run, model_id = export(request)
    if registration:
        promote(run, model_id, registration)
    return 0


if __name__ == "__main__":
    sys.exit(main())

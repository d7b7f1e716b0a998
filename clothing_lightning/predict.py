"""Predict the classes of photos by the network of a run."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from clothing_lightning.cli.command import CommandParser, run_command
from clothing_lightning.errors import (
    ConfigError,
    DataError,
    DatasetNotFoundError,
    StorageError,
)
from clothing_lightning.wording import counted

DESCRIPTION = """\
Tells the class of each photo by the best checkpoint of a run. RUN is a run's id,
the start of it, its name, or the path of a checkpoint or of an exported ONNX
file. Folders are searched with all that is in them, for images by their suffix.
The data set that the run was trained on need not be there, and nothing is
downloaded.

  ... predict efficientnet_lite0 photo.jpg
  ... predict b4ff3c49 photos/ --top 5 --csv labels.csv
  ... predict b4ff3c49 photos/ --sheet sheet.png --explain why/
  ... predict b4ff3c49 photos/ --abstain 0.95
  ... predict b4ff3c49 photos/ --json | jq -r '.images[].path'
"""
EPILOG = """\
Files that are there already are not written over. In Python:

  from clothing_lightning.inference.predictor import Predictor
  predictor = Predictor("efficientnet_lite0")
  table = predictor(["a.jpg", "b.jpg"])

Probabilities are calibrated: the network's logits are divided by a temperature
that was fitted on the validation images.

Exit codes: 0 every photo is predicted; 1 some could not be read, which are
listed on stderr, and the others are predicted; 2 something to put right (one
message says what).
"""
EXIT_SOME_UNREADABLE = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on these words, else the process's; return the exit code."""
    return run_command(argv, _parser().format_help(), _predict)


def _parser() -> CommandParser:
    parser = CommandParser(
        "predict",
        "RUN IMAGE_OR_FOLDER [...] [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("words", nargs="*", metavar="RUN IMAGE_OR_FOLDER", help="see above")
    add("--top", type=int, default=3, metavar="N", help="classes of each photo (3)")
    add("--json", action="store_true", help="print one JSON document and nothing else")
    add(
        "--csv",
        type=Path,
        metavar="FILE",
        help="write path, prediction_1, probability_1, prediction_2, ...; after the "
        "path the answer, if there is --abstain",
    )
    add(
        "--sheet",
        type=Path,
        metavar="FILE.png",
        help="write pages of 40 photos with label and probability; the second is "
        "FILE-2.png",
    )
    add(
        "--explain",
        type=Path,
        metavar="FOLDER",
        help="write for each photo what spoke for its class (Grad-CAM)",
    )
    add(
        "--abstain",
        type=float,
        metavar="ACCURACY",
        help='answer "unsure" below the probability at which the answers for '
        "validation images are as accurate as this, such as 0.9",
    )
    add("--batch", type=int, default=32, metavar="N", help="photos at once (32)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    return parser


def _predict(words: list[str]) -> int:
    options = _parser().parse_intermixed_args(words)
    _check(options)
    from clothing_lightning.cli.malloc import keep_freed_memory
    from clothing_lightning.cli.third_party_warnings import quiet_libraries
    from clothing_lightning.inference.prediction import (
        json_source,
        predict_photos,
        write_files,
    )
    from clothing_lightning.inference.predictor import Predictor, photo_paths
    from clothing_lightning.reports.contact_sheet import sheet_files
    from clothing_lightning.reports.predicted import (
        abstention_line,
        json_text,
        print_note,
        show,
    )

    quiet_libraries()
    keep_freed_memory()
    run, *images = options.words
    paths = list(photo_paths(images))
    if options.sheet:
        for file in sheet_files(options.sheet, len(paths)):
            _require_new("--sheet", file)
    predictor = Predictor(
        run,
        device=options.device,
        batch_size=options.batch,
        abstain=options.abstain,
    )
    predictions, unreadable = predict_photos(predictor, paths, options.top)
    if options.json:
        source = json_source(predictor)
        sys.stdout.write(json_text(predictions, unreadable, source))
    else:
        show(predictions, unreadable)
    if predictor.answers:
        print_note(abstention_line(predictor.answers))
    if not predictions:
        raise DataError(f"none of {counted(len(paths), 'photo')} can be read.")
    write_files(
        predictor,
        predictions,
        csv=options.csv,
        sheet=options.sheet,
        explain=options.explain,
    )
    return EXIT_SOME_UNREADABLE if unreadable else 0


def _check(options: argparse.Namespace) -> None:
    """Refuse what could not be done before the work begins."""
    if len(options.words) < 2:
        raise ConfigError("name the run, and then images or folders. --help shows how.")
    if options.top < 1:
        raise ConfigError(f"--top is {options.top}. The least is 1.")
    if options.explain and options.words[0].endswith(".onnx"):
        raise ConfigError(
            f"--explain: '{options.words[0]}' is an ONNX file, which has no gradients. "
            "Name its run, or its checkpoint."
        )
    if options.sheet and options.sheet.suffix.lower() != ".png":
        raise ConfigError(f"--sheet: '{options.sheet}' does not end in .png.")
    for word in options.words[1:]:
        if not Path(word).expanduser().exists():
            raise DatasetNotFoundError(
                f"{word}: there is no such file or folder. Name images or folders of "
                "images after the run."
            )
    _check_targets(options)


def _check_targets(options: argparse.Namespace) -> None:
    for option in ("csv", "sheet"):
        if file := getattr(options, option):
            _require_new(f"--{option}", file)
    if options.csv and options.csv == options.sheet:
        raise ConfigError(f"--csv: '{options.csv}' is that of --sheet. Name two files.")
    folder = options.explain
    if folder and folder.exists() and not folder.is_dir():
        raise StorageError(f"--explain: '{folder}' is a file. Name a folder.")
    if folder and folder.is_dir() and any(folder.iterdir()):
        raise StorageError(
            f"--explain: '{folder}' is not empty. Empty it, or name another folder."
        )


def _require_new(option: str, file: Path) -> None:
    if file.is_dir():
        raise StorageError(f"{option}: '{file}' is a folder. Name a file.")
    if file.exists():
        raise StorageError(
            f"{option}: '{file}' is there already. Remove it, or write elsewhere."
        )
    if not file.parent.is_dir():
        raise StorageError(
            f"{option}: there is no folder '{file.parent}'. Make it, or write "
            "elsewhere."
        )


if __name__ == "__main__":
    sys.exit(main())

"""Try a network on photos of your own, on a page in the browser."""

import sys
from collections.abc import Sequence

from clothing_lightning.cli.command import CommandParser, run_command
from clothing_lightning.errors import ConfigError

DESCRIPTION = """\
Starts a page on this computer: drop photos on it, and see their classes, what
speaks for them (Grad-CAM), and which the network had better leave unanswered.
RUN is a run's id, the start of it, its name, or the path of a checkpoint or of an
exported ONNX file. Photos are not kept. Ctrl-C ends it.

  ... app efficientnet_lite0 --open
  ... app b4ff3c49 --abstain 0.95 --port 8000
"""
EPILOG = """\
Exit codes: 0 ended by Ctrl-C; 2 something to put right (one message says what).
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on these words, else the process's; return the exit code."""
    return run_command(argv, _parser().format_help(), _app)


def _parser() -> CommandParser:
    parser = CommandParser(
        "app", "RUN [options]", description=DESCRIPTION, epilog=EPILOG
    )
    add = parser.add_argument
    add("run", metavar="RUN", help="see above")
    add("--port", type=int, default=7860, metavar="N", help="7860; 0: any free one")
    add(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on (127.0.0.1: this computer alone)",
    )
    add(
        "--abstain",
        type=float,
        metavar="ACCURACY",
        help="begin with the confidence that reaches this accuracy on validation "
        "images, such as 0.9",
    )
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--open", action="store_true", help="open the page in the browser")
    return parser


def _app(words: list[str]) -> int:
    options = _parser().parse_intermixed_args(words)
    if not 0 <= options.port <= 65535:
        raise ConfigError(f"--port is {options.port}. It is from 0 to 65535.")
    import webbrowser

    from clothing_lightning.cli.malloc import keep_freed_memory
    from clothing_lightning.cli.third_party_warnings import quiet_libraries
    from clothing_lightning.inference.photo_server import (
        listen,
        photo_app,
        serve,
        url_of,
    )
    from clothing_lightning.inference.predictor import Predictor
    from clothing_lightning.reports.console import say

    quiet_libraries()
    keep_freed_memory()
    opened = listen(options.host, options.port)
    predictor = Predictor(options.run, device=options.device, abstain=options.abstain)
    url = url_of(options.host, opened)
    say(f"{predictor.title}: {url}  (Ctrl-C ends it)")
    if options.open:
        webbrowser.open(url)
    serve(photo_app(predictor, options.host), opened)
    return 0


if __name__ == "__main__":
    sys.exit(main())

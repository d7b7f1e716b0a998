"""Train the model that a YAML file describes, test it, and log the whole run.

Nothing heavy is imported before the words on the command line are understood.
"""

import json
import sys
from collections.abc import Sequence

from clothing_lightning.cli.arguments import Arguments, fit_parser, split_arguments
from clothing_lightning.cli.command import run_command
from clothing_lightning.cli.registration import require_libraries
from clothing_lightning.cli.third_party_warnings import quiet_libraries
from clothing_lightning.errors import EXIT_INTERRUPTED, ConfigError, UserError
from clothing_lightning.tracking.registry import Registration


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on these words, else the process's; return the exit code."""
    help_page = fit_parser().format_help()
    return run_command(argv, help_page, lambda words: _fit(split_arguments(words)))


def _fit(arguments: Arguments) -> int:
    stored_run = None
    if arguments.resume:
        from clothing_lightning.tracking.read import find_run

        stored_run = find_run(arguments.resume, to_resume=True)
    group = stored_run.group if stored_run else None
    if arguments.variations or group:
        from clothing_lightning.training.fit_group import fit_group

        if stored_run is None or group is None:
            return fit_group(arguments)
        _require_nothing_else(stored_run.name, arguments)
        stored = json.loads(group)
        return fit_group(
            split_arguments(stored["words"]), stored_run.run_id, stored["digest"]
        )
    registration = arguments.registration
    if stored_run and not registration:
        registration = Registration.of_run(stored_run.tags)
    if registration:
        require_libraries()
    from clothing_lightning.cli.experiment import ExperimentCLI

    quiet_libraries()  # now, since Lightning sets its loggers' levels on import
    stored_files = [stored_run.config] if stored_run else []
    parsed = ExperimentCLI([*stored_files, *arguments.files], arguments.options)
    # Here, since mlflow and matplotlib take seconds to import, and a mistake in the
    # experiment should be told before.
    from clothing_lightning.comparison.promotion import promote
    from clothing_lightning.compression.export import ExportRequest, export
    from clothing_lightning.training.fitting import fit

    ended = fit(parsed.experiment(arguments), parsed.build_trainer, stored_run)
    if ended.status == "KILLED":
        return EXIT_INTERRUPTED
    if registration and ended.run_id:
        try:
            promote(*export(ExportRequest(ended.run_id, "mlflow")), registration)
        except UserError as err:
            raise type(err)(
                f"{err} The run is finished and kept. To register it later: python -m "
                f"clothing_lightning.export {ended.run_id[:8]} --to mlflow "
                f"{registration.flags}"
            ) from err
    return 0


def _require_nothing_else(name: str, arguments: Arguments) -> None:
    if arguments.files or arguments.options or arguments.registration:
        raise ConfigError(
            f"--resume: {name} stands for several runs, which go on as they began. "
            "Leave out everything else."
        )


if __name__ == "__main__":
    sys.exit(main())

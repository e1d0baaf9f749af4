"""The command ``penumbra``: its subcommands, and how every failure ends in one sentence and an exit code.

Exit codes: 0 done; 1 an unexpected fault; 2 the request makes no sense; 3 a file is not an image; 4 grids or label
values do not fit; 5 the study is missing, damaged or in use; 6 a file could not be written; 7 a run failed; 8 a
checkpoint does not fit; 130 stopped by Ctrl+C.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from napari_penumbra import __version__
from napari_penumbra.cli import (
    check,
    demo,
    dicom,
    doctor,
    effort,
    exporting,
    history,
    importing,
    learn,
    models,
    report,
    simulate,
    study,
    team,
    watching,
)
from napari_penumbra.cli.output import errors, log_unexpected, say_error
from napari_penumbra.domain.errors import PenumbraError

app = typer.Typer(
    name="penumbra",
    help="Label a cohort of 3D scans while a background process learns from all of them, labelled or not.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
_PARTS = (
    study,
    importing,
    check,
    dicom,
    history,
    learn,
    models,
    watching,
    report,
    exporting,
    effort,
    simulate,
    doctor,
    demo,
)
for _commands in (part.app for part in _PARTS):
    app.registered_commands += _commands.registered_commands
app.add_typer(team.app, name="team")
app.add_typer(models.group)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"napari-penumbra {__version__}")
        raise typer.Exit


@app.callback()
def _penumbra(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from. May stand anywhere.")] = False,
) -> None:
    """Label a cohort of 3D scans while a background process learns from all of them, labelled or not.

    Not a medical device: for research only.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; always ends with `SystemExit`.

    Parameters
    ----------
    arguments
        Words after ``penumbra``; None takes those of the process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        app(args=words, prog_name="penumbra")
    except PenumbraError as error:
        if debug:
            errors().print(traceback.format_exc(), highlight=False, markup=False)
        say_error(error, details=debug)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `penumbra status | head`
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback meets a reader
        if debug:
            errors().print(traceback.format_exc(), highlight=False, markup=False)
        say_error(log_unexpected(error))
        sys.exit(1)
    sys.exit(0)

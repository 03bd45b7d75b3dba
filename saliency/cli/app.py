"""The `saliency` command: its verbs, and what the world sees of errors."""

import logging
import sys
import warnings
from io import TextIOWrapper

import typer

from saliency import __version__
from saliency.allocator import keep_freed_memory
from saliency.cli import (
    calibrate,
    compare,
    crop,
    evaluate,
    experiment,
    export,
    info,
    predict,
    rank,
    regions,
    train,
)
from saliency.cli.console import stderr
from saliency.errors import SaliencyError

app = typer.Typer(
    name="saliency",
    help="Where people look in a photo and how good it looks.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("predict")(predict.predict)
app.command("regions")(regions.regions)
app.command("crop")(crop.crop)
app.command("rank")(rank.rank)
app.command("compare")(compare.compare_versions)
app.command("calibrate")(calibrate.calibrate)
app.command("evaluate")(evaluate.evaluate)
app.command("train")(train.train)
app.command("export")(export.export)
app.command("info")(info.info)
app.add_typer(experiment.app, name="experiment")


@app.callback()
def _root() -> None:
    pass


@app.command("version")
def _version() -> None:
    """Print the version of the package."""
    print(__version__)


def main() -> None:
    """Run the command line; an error that the user can mend is one line and exit code 1."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    # Damaged EXIF says nothing against a photo's pixels, and many photos have some.
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
    keep_freed_memory()
    # A file name may hold what the terminal's encoding lacks; that must not stop a long run.
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except SaliencyError as error:
        stderr.print(f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)
    except OSError as error:
        # A full disk, a folder without permission: the operating system's words are clear.
        stderr.print(f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)

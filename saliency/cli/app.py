"""The `saliency` command: its verbs, and how errors are shown."""

import gc
import logging
import sys
import warnings
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated

import typer

from saliency import __version__
from saliency.allocator import keep_freed_memory
from saliency.cli.progress import say
from saliency.errors import SaliencyError

VERBS = {
    "predict": "predict",
    "regions": "regions",
    "crop": "crop",
    "rank": "rank",
    "compare": "compare_versions",
    "calibrate": "calibrate",
    "evaluate": "evaluate",
    "train": "train",
    "refit": "refit",
    "export": "export",
    "info": "info",
    "bench": "bench",
}
"""Names of the verbs, and of the functions that run them in the modules `saliency.cli.VERB`."""

GROUPS = ("data", "experiment")
"""Modules whose verb has further verbs below it."""


def build_app(*verbs: str) -> typer.Typer:
    """Return the command with only `verbs`, or with all verbs if none of them is known.

    Only the modules of these verbs are imported, so the command starts sooner.
    """
    app = typer.Typer(
        name="saliency",
        help="Predict where people look in a photo and how good it looks.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    app.command("version")(_version)
    if verbs in (("version",), ("--version",)):
        return app
    wanted = [verb for verb in (*VERBS, *GROUPS) if verb in verbs] or (*VERBS, *GROUPS)
    for verb in wanted:
        module = import_module(f"saliency.cli.{verb}")
        if verb in GROUPS:
            app.add_typer(module.app, name=verb)
        else:
            app.command(verb)(getattr(module, VERBS[verb]))
    return app


def _version() -> None:
    """Print the version of the package."""
    print(__version__)


def _print_version(wanted: bool) -> None:
    if wanted:
        _version()
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version of the package.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; an error that the user can fix is one line and exit code 1."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    # Many photos have damaged EXIF; their pixels are good, so a warning would only disturb.
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
    keep_freed_memory()
    # A file name may hold characters that the terminal cannot show; that must not stop a long run.
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        build_app(*sys.argv[1:2])()
    except SaliencyError as error:
        say(f"error: {error}", style="red")
        sys.exit(1)
    except OSError as error:
        # A full disk, a folder without permission: the operating system's message is clear.
        say(f"error: {error}", style="red")
        sys.exit(1)
    finally:
        gc.freeze()  # at the end of the process a search for garbage would be wasted

"""The `saliency` command: its verbs, and what the world sees of errors."""

import gc
import logging
import sys
import warnings
from importlib import import_module
from io import TextIOWrapper

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
    "export": "export",
    "info": "info",
    "bench": "bench",
}
"""Verb -> the function in its module, `saliency.cli.VERB`."""

GROUPS = ("data", "experiment")
"""Modules that hold several verbs below theirs."""


def build_app(*verbs: str) -> typer.Typer:
    """Return the command with `verbs` alone, whose modules are imported; all if none is known.

    One verb starts sooner than all of them.
    """
    app = typer.Typer(
        name="saliency",
        help="Where people look in a photo and how good it looks.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    wanted = [verb for verb in (*VERBS, *GROUPS) if verb in verbs] or (*VERBS, *GROUPS)
    for verb in wanted:
        module = import_module(f"saliency.cli.{verb}")
        if verb in GROUPS:
            app.add_typer(module.app, name=verb)
        else:
            app.command(verb)(getattr(module, VERBS[verb]))
    app.command("version")(_version)
    return app


def _root() -> None:
    pass


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
        build_app(*sys.argv[1:2])()
    except SaliencyError as error:
        say(f"error: {error}", style="red")
        sys.exit(1)
    except OSError as error:
        # A full disk, a folder without permission: the operating system's words are clear.
        say(f"error: {error}", style="red")
        sys.exit(1)
    finally:
        gc.freeze()  # what ends with the process need not be searched for garbage

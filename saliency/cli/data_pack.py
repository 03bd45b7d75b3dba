"""`saliency data pack`: packs labelled sets into few large files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from saliency.cli.console import stdout
from saliency.cli.data_options import INTERRUPTED, Workers
from saliency.cli.extras import training_extra
from saliency.cli.options import DataRoot
from saliency.cli.progress import progress, say
from saliency.devices import count_cores
from saliency.errors import ConfigError

if TYPE_CHECKING:
    from saliency.curation.pack import Packed, Source

SIZE = "384x512"
"""The same as `saliency.curation.pack.SIZE`, which takes seconds to import."""


def pack(
    recipe: Annotated[
        Path, typer.Argument(metavar="CONFIG.toml", help="The recipe whose sets are packed.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder to write to; each set gets a folder in it."),
    ],
    data_root: DataRoot = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Pack only the set of this name; repeatable."),
    ] = None,
    size: Annotated[
        str,
        typer.Option(
            "--size",
            metavar="HxW",
            help="HEIGHTxWIDTH that a shrunk landscape image still covers; swapped for portraits.",
        ),
    ] = SIZE,
    quality: Annotated[int, typer.Option(min=1, max=100, help="JPEG quality, 1..100.")] = 90,
    workers: Workers = None,
) -> None:
    """Shrink the images of a recipe's sets and write them with their labels into few large files.

    The files (shards) are tar files in the layout of WebDataset, each with a checksum. To train
    from them, run `saliency train` with the same recipe and `--data` naming the folder written
    here. Fixations stay points, votes stay counts. The default size is enough for training at
    288x384 with its random crops.

    Photos without labels (`data.photos`) are not packed; training from the packed sets needs their
    folders beside them.

    After an interruption run the same command again; it continues where it stopped, and it writes
    deleted shards again, and those that lack an image which can be read by now. An image that
    cannot be read is named and left out; the exit code is then 1.

    **Example:** `saliency data pack data/recipes/ava_salicon.toml --data DATA -o PACKED`
    """
    with training_extra("data pack"):
        from saliency.curation.pack import open_source
        from saliency.curation.pack import pack as pack_source
        from saliency.datasets.config import find_data_root, load_data_config

    height_width = to_size(size)
    config = load_data_config(recipe)
    root = find_data_root(config, data_root)
    names = [s.name for s in config.sets]
    for name in only or ():
        if name not in names:
            raise ConfigError(f"`--only` should be one of {', '.join(names)}. Found {name!r}.")
    sources = [open_source(s, root) for s in config.sets if not only or s.name in only]
    places = [source.config.path or source.config.name for source in sources]
    for place in places:
        if root is not None and (output / place).resolve() == (root / place).resolve():
            raise ConfigError(
                "A set should be packed into another folder than its own: `--output` should differ "
                f"from `--data`, and `path` be relative. Found {root / place}."
            )

    def pack_one(source: Source, place: str) -> Packed:
        with progress(source.config.name, len(source)) as shown:
            return pack_source(
                source,
                output / place,
                size=height_width,
                quality=quality,
                workers=workers or count_cores(),
                on_image=lambda done_before: shown.advance(skipped=done_before),
            )

    failed = 0
    try:
        for source, place in zip(sources, places, strict=True):
            packed = pack_one(source, place)
            print_packed(packed)
            failed += len(packed.skipped)
    except KeyboardInterrupt:
        say("stopped; run the same command again to continue")
        raise typer.Exit(INTERRUPTED) from None
    for photos in config.photos:
        place = photos.path or photos.name
        if root is not None and not (output / place).is_dir():
            here = root / place
            say(f"not packed: {here}, photos without labels; copy them to {output / place}")
    if failed:
        say(f"{failed} images could not be read")
        raise typer.Exit(1)


def print_packed(packed: Packed) -> None:
    """Print what was written, and name the images that were left out."""
    for name, why in packed.skipped.items():
        say(f"skipped: {name}: {why}", style="yellow")
    stdout.print(
        f"{packed.folder}  {packed.images:,} images  {packed.bytes / 1e6:,.1f} MB",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def to_size(text: str) -> tuple[int, int]:
    """Return (height, width) from a text such as 384x512."""
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise ConfigError(f"`--size` should be HEIGHTxWIDTH, such as {SIZE}. Found {text!r}.")
    return int(height), int(width)

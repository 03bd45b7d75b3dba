"""`saliency predict`: photos in, maps, overlays and scores out."""

from pathlib import Path
from typing import Annotated

import typer

from saliency.batch import RECORDS_NAME, find_photos, predict_files
from saliency.cli.console import progress_bar, stderr, stdout
from saliency.cli.options import BatchSize, Device, Weights
from saliency.predictor import BATCH_SIZE, Predictor


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS...", help="Photos, folders (searched at any depth) or globs."
        ),
    ],
    out_dir: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "predictions"
    ),
    weights: Weights = None,
    device: Device = "auto",
    batch_size: BatchSize = BATCH_SIZE,
) -> None:
    """Predict where people look and how good each photo looks.

    For each photo: STEM.overlay.png (attention glowing on the photo), STEM.map.png (the saliency
    map, 16 bits, peak = 65535) and a line of predictions.jsonl (score 1..10, its standard
    deviation and distribution). A photo that cannot be read is named and skipped; the exit code
    is 1 then.

    **Example:** `saliency predict photos/ -o results`
    """
    photos = find_photos(sources)
    predictor = Predictor.load(weights, device)
    stderr.print(f"device: {predictor.device}, photos: {len(photos)}", highlight=False)
    failed = 0
    with progress_bar() as bar:
        task = bar.add_task("predicting", total=len(photos))
        for outcome in predict_files(predictor, photos, out_dir, batch_size):
            bar.advance(task)
            if outcome.record is None:
                failed += 1
                stderr.print(
                    f"skipped: {outcome.error}",
                    style="yellow",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
            elif (score := outcome.record["score"]) is not None:
                stdout.print(
                    f"{score:5.2f}  {outcome.photo.path}",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
    done = len(photos) - failed
    stderr.print(
        f"{done} of {len(photos)} photos predicted; results in {out_dir} "
        f"(records in {RECORDS_NAME})",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if failed:
        raise typer.Exit(1)

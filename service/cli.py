"""`saliency-serve`: reads the settings, loads the weights and starts uvicorn."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from saliency.checkpoint import find_weights
from saliency.errors import SaliencyError
from saliency.extras import require_extra

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)


@app.command()
def serve(
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; only this machine (127.0.0.1) if not given."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 8000 if not given; 0 takes a free one.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            "-w",
            parser=find_weights,
            metavar="FILE|NAME",
            help="A checkpoint, or the name of released weights: default, or accurate (better "
            "maps, slower).",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            "-d",
            help="auto, cpu, cuda, cuda:N or mps; auto takes a GPU if there is one.",
        ),
    ] = None,
    make_key: Annotated[
        bool, typer.Option("--new-key", help="Print a new API key and its hash, and exit.")
    ] = False,
) -> None:
    """Serve saliency maps and aesthetic scores over HTTP, with a web page on `/`.

    Everything else is set in the environment: SALIENCY_API_KEYS, SALIENCY_AUTH, SALIENCY_THREADS,
    SALIENCY_MAX_BYTES, SALIENCY_MAX_PIXELS, SALIENCY_TIMEOUT_S, SALIENCY_QUEUE_LENGTH,
    SALIENCY_LOG_FORMAT and the others that docs/guide/service.md lists.

    **Example:** `saliency-serve --port 8000`, then open http://127.0.0.1:8000
    """
    with require_extra("`saliency-serve`", "serve"):
        import uvicorn

        from service.app import create_app
        from service.loading import load_predictor
        from service.security import new_key
        from service.settings import load_settings
        from service.telemetry import configure_logging

    if make_key:
        key, hashed = new_key()
        print(f"key (give it to the client): {key}\nSALIENCY_API_KEYS={hashed}")
        return
    settings = load_settings(host=host, port=port, weights=weights, device=device)
    configure_logging(settings.log_format)
    # uvicorn stops gracefully, then raises the signal again; a requested stop is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        create_app(settings, load_predictor(settings)),
        host=settings.host,
        port=settings.port,
        # uvicorn would take httptools where it is installed: faster, but it reads heads without a
        # limit, and loses the photo of a client that offers HTTP/2 (adr 0016).
        http="h11",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.shutdown_s,
    )


def main() -> None:
    """Run the service; an error that the operator can fix is one line and exit code 1."""
    try:
        app()
    except SaliencyError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)

"""`saliency data VERB`: checks, packs and describes data sets before training."""

import typer

from saliency.cli.data_check import check
from saliency.cli.data_describe import describe
from saliency.cli.data_pack import pack

app = typer.Typer(help="Check, pack and describe labelled data sets.", no_args_is_help=True)
app.command("check")(check)
app.command("pack")(pack)
app.command("describe")(describe)


@app.callback()
def _root() -> None:
    pass

"""The documents are true: links lead somewhere, snippets run, commands exist, recipes are valid."""

import doctest
import importlib.util
import json
import re
import shlex
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from PIL import Image
from skimage.data import chelsea

from saliency import ConfigError
from saliency.cli.app import build_app
from saliency.training.config import load_config

ROOT = Path(__file__).parents[1]
NOT_OURS = {".venv", ".git", ".pytest_cache", "node_modules", "runs", "demo"}
PAGES = sorted(
    path for path in ROOT.rglob("*.md") if not NOT_OURS & set(path.relative_to(ROOT).parts)
)
CURRENT = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs/guide").glob("*.md")),
]
"""Pages that say how things are done today; results and the log keep commands of their time."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def to_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def read_prose(path: Path) -> str:
    """Return a page without its code."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", path.read_text(encoding="utf-8")))


def read_blocks(path: Path, language: str) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return [body for found, body in FENCE.findall(text) if found == language]


def list_anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    headings = re.findall(
        r"^#+ +(.+?) *$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=to_name)
def test_links_lead_to_files_and_headings(page):
    broken = []
    for target in LINK.findall(read_prose(page)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in list_anchors(path)):
            broken.append(target)
    assert broken == []


def test_documents_that_files_name_exist():
    named = re.compile(r"\bdocs/[\w/.-]+?\.(?:md|png|webp|xz)\b")
    sources = (
        path
        for folder in ("saliency", "service", "data", "weights", "docs")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md", ".toml", ".html"}
    )
    missing = {
        (to_name(path), name)
        for path in (*sources, *ROOT.glob("*.md"))
        for name in named.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    }
    assert missing == set()


def test_the_readme_fits_on_a_page():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def list_commands(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of every `saliency` command line that a page shows."""
    blocks = "\n".join(read_blocks(page, "")).replace("\\\n", " ")
    inline = re.findall(r"`(saliency [^`\n]*)`", page.read_text(encoding="utf-8"))
    for line in (*blocks.splitlines(), *(f"{command} --help" for command in inline)):
        for words in _split_pipes(shlex.split(line, comments=True)):
            if words[:1] == ["saliency"]:
                yield words[1:]
            elif words[:1] == ["torchrun"] and "saliency" in words:
                yield words[words.index("saliency") + 1 :]


def _split_pipes(words: list[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for word in words:
        if word in {"|", "&&"}:
            yield part
            part = []
        else:
            part.append(word)
    yield part


COMMANDS = [(page, command) for page in CURRENT for command in list_commands(page)]


@pytest.fixture(scope="module")
def parse() -> Callable[[list[str]], object]:
    """Return a function that parses a command line as `saliency` does, and then does nothing."""
    app = typer.main.get_command(build_app())
    groups: list[Any] = [app]
    while groups:
        for command in groups.pop().commands.values():
            if hasattr(command, "commands"):
                groups.append(command)
            else:
                command.callback = lambda **values: None
    return lambda words: app.main(words, prog_name="saliency", standalone_mode=False)


@pytest.mark.parametrize(
    ("page", "words"),
    COMMANDS,
    ids=[f"{to_name(page)}: {' '.join(words)}" for page, words in COMMANDS],
)
def test_commands_and_their_options_exist(parse, page, words):
    parse(words)  # raises a usage error


def test_recipes_take_the_values_that_pages_set():
    # CONTRIBUTING names the strategy that its reader adds.
    shown = [
        words
        for page, words in COMMANDS
        if words[:1] == ["train"] and page.name != "CONTRIBUTING.md"
    ]
    assert any("-s" in words for words in shown)
    for _, recipe, *words in shown:
        if (ROOT / recipe).is_file():
            values = [value for flag, value in pairwise(words) if flag == "-s"]
            load_config(ROOT / recipe, values)  # raises ConfigError


@pytest.mark.parametrize("words", [["look"], ["predict", "a.jpg", "--colour"], ["predict"]])
def test_wrong_commands_would_be_found(parse, words):
    with pytest.raises(Exception, match=r"No such|Missing"):
        parse(words)


def test_commands_are_found():
    assert {words[0] for _, words in COMMANDS} >= {"predict", "rank", "train", "data", "experiment"}


@pytest.fixture
def photo(tmp_path, monkeypatch) -> None:
    """A folder with a `photo.jpg`, as a reader of the guides has."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(chelsea()).save("photo.jpg")


@pytest.mark.parametrize("page", ["README.md", "docs/guide/library.md"])
def test_python_of_the_library_runs_as_written(page, photo):
    names: dict[str, Any] = {}
    for block in read_blocks(ROOT / page, "python"):
        exec(block, names)  # noqa: S102
    prediction = names["prediction"]
    assert prediction.density.shape == chelsea().shape[:2]
    assert 1 <= prediction.score <= 10


def test_python_of_the_service_runs_as_written(photo, monkeypatch):
    import httpx
    from fastapi.testclient import TestClient

    from saliency import Predictor
    from service.app import create_app
    from service.settings import Settings

    service = create_app(Settings(device="cpu", threads=1), Predictor.load(device="cpu"))
    names: dict[str, Any] = {}
    with TestClient(service, base_url="http://127.0.0.1:8000") as client:
        while client.get("/readyz").status_code != httpx.codes.OK:
            pass
        monkeypatch.setattr(httpx, "Client", lambda **_: client)
        for block in read_blocks(ROOT / "docs/guide/service.md", "python"):
            exec(block, names)  # noqa: S102
    assert names["density"].shape == chelsea().shape[:2]
    assert 1 <= names["record"].score <= 10


def test_the_service_guide_names_every_setting():
    from service.settings import Settings

    guide = (ROOT / "docs/guide/service.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Z_]+)`", guide))
    assert {name.upper() for name in Settings.model_fields} - named == set()


@pytest.mark.slow
def test_the_tour_runs_to_its_end(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT / "docs")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tour = json.loads((ROOT / "docs/tour.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for cell in tour["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)  # noqa: S102
    assert names["scores"].keys() == {"uncertainty", "equal"}
    assert min(names["scores"].values()) > 0.5


def test_the_first_change_runs_as_written(tmp_path, monkeypatch):
    (block,) = read_blocks(ROOT / "CONTRIBUTING.md", "python")
    (tmp_path / "loudest.py").write_text(block, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    loudest = importlib.import_module("loudest")
    assert doctest.testmod(loudest).attempted > 0
    assert doctest.testmod(loudest).failed == 0
    assert loudest.LoudestOptions(others=0.2).build([None, None]).others == 0.2
    with pytest.raises(ConfigError, match="others"):
        loudest.LoudestOptions(others=-1)


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_imports", ROOT / "docs/draw_imports.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_drawing_of_imports_is_current(drawing):
    drawn = read_blocks(ROOT / "docs/ARCHITECTURE.md", "mermaid")
    assert drawn == [drawing.draw()], "run: python docs/draw_imports.py"


def test_the_architecture_names_every_module(drawing):
    text = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    packages = {path.stem for path in (ROOT / "saliency").iterdir() if path.suffix == ".py"}
    packages |= {path.parent.name for path in (ROOT / "saliency").glob("*/__init__.py")}
    named = set(re.findall(r"`(\w+)/?`", text))
    assert packages - named == {"__init__", "__main__"}


def test_the_index_lists_every_decision():
    index = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[\d+\]\((\d{4}-[^)]+)\)", index, re.MULTILINE)
    assert listed == sorted(path.name for path in (ROOT / "docs/adr").glob("0*.md"))


RECIPES = [
    (page, block) for page in CURRENT for block in read_blocks(page, "toml") if "[data]" in block
]


@pytest.mark.parametrize(
    ("page", "recipe"), RECIPES, ids=[f"{page.stem}-{n}" for n, (page, _) in enumerate(RECIPES)]
)
def test_recipes_are_valid(page, recipe, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(recipe, encoding="utf-8")
    assert load_config(path).data.sets

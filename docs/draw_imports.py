"""Draw the imports between packages of the code into ARCHITECTURE.md: python docs/draw_imports.py.

The imports are those of the code, read by grimp (which comes with import-linter). The ground floors
that `.importlinter` lists last are left out: nearly every package imports them. An import that
follows from others (a imports b, b imports c, a imports c) is left out, too.
"""

import re
from collections import defaultdict
from configparser import ConfigParser
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/ARCHITECTURE.md"
GROUND = "preprocessing"  # on the highest of the floors that are left out
DRAWING = re.compile(r"(?<=```mermaid\n).*?(?=```\n)", re.DOTALL)


def read_floors() -> list[list[str]]:
    """Return the packages of each floor of the library, from the top."""
    config = ConfigParser()
    config.read(ROOT / ".importlinter")
    lines = config["importlinter:contract:floors"]["layers"].strip().splitlines()
    return [[name.strip().removeprefix("saliency.") for name in line.split("|")] for line in lines]


def read_imports() -> dict[str, set[str]]:
    """Return the packages that each package imports; the service is one package."""
    graph = grimp.build_graph(
        "saliency", "service", exclude_type_checking_imports=True, cache_dir=None
    )
    imports: dict[str, set[str]] = defaultdict(set)
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            package, other = to_package(module), to_package(imported)
            if package and other and package != other:  # "" is __init__.py
                imports[package].add(other)
    return imports


def to_package(module: str) -> str:
    """Return the package that a module belongs to."""
    package, _, rest = module.partition(".")
    return "service" if package == "service" else rest.partition(".")[0]


def list_below(imports: dict[str, set[str]], package: str) -> set[str]:
    """Return all packages that a package imports, directly or through others."""
    found: set[str] = set()
    waiting = [package]
    while waiting:
        new = imports.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def draw() -> str:
    """Return the drawing in Mermaid's language."""
    floors, imports = read_floors(), read_imports()
    ground = next(number for number, packages in enumerate(floors) if GROUND in packages)
    drawn = ["service", *(package for packages in floors[:ground] for package in packages)]
    arrows = [
        f"  {package} --> {other}\n"
        for package in drawn
        for other in drawn
        if other in imports[package]
        and not any(other in list_below(imports, via) for via in imports[package] - {other})
    ]
    return "".join(["flowchart TD\n", *arrows])


def main() -> None:
    """Put the drawing into the page."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(DRAWING.sub(draw(), page), encoding="utf-8")


if __name__ == "__main__":
    main()

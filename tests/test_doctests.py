"""Examples in docstrings are true."""

import doctest
import importlib
import pkgutil
from typing import get_args

import pytest

import saliency
from saliency.weighting import Strategy

MODULES = [
    module.name
    for module in pkgutil.walk_packages(saliency.__path__, "saliency.")
    if module.name != "saliency.__main__"  # which runs the command line
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", [options.name for options in get_args(Strategy)])
def test_every_weighting_has_an_example(name):
    module = importlib.import_module(f"saliency.weighting.{name}")
    assert doctest.testmod(module).attempted > 0

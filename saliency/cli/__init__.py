"""The command line: one short file a verb."""

from saliency.cli.app import main

__all__ = ["main"]

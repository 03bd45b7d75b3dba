"""`python -m saliency`."""

from saliency.cli import main

main()

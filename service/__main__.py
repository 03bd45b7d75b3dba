"""`python -m service` is `saliency-serve`."""

from service.cli import main

main()

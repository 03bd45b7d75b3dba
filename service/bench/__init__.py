"""What the service reaches on this machine: `python -m service.bench.load` and `.soak`."""

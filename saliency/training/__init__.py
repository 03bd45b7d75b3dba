"""Training: config, data, loop, resuming."""

"""Training: configuration, data, the loop, and resuming an interrupted run."""

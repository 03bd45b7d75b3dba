"""Arms that differ in one thing, trained alike, compared with intervals over images and seeds."""

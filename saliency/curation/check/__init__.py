"""Check whether a copy of a data set is complete: one module and class for each layout."""

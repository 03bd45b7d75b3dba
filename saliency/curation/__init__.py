"""Work on whole data sets before training: check a copy, pack it, describe what is in it."""

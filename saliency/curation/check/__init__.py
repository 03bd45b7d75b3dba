"""Is a copy of a data set whole? One file a layout, each with a class that looks at every file."""

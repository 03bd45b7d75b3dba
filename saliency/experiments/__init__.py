"""Questions asked of the data with the library's own parts."""

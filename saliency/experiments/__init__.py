"""Experiments on labelled data, made of the library's own parts."""

"""Keep freed memory for the next step, on Linux."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # from glibc's malloc.h
PAD_BYTES = 256 * 2**20


def keep_freed_memory() -> bool:
    """Tell glibc not to give large freed blocks back to the system.

    By default every activation of some megabytes is mapped, zeroed page by page and unmapped
    again at each step, which took up to two fifths of a training step on a CPU. For programs of
    our own (the command line), not for a library in someone else's process.

    Returns:
        Whether the system took it; elsewhere than on glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl
        return False
    settings = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: PAD_BYTES}
    return all(mallopt(parameter, value) == 1 for parameter, value in settings.items())

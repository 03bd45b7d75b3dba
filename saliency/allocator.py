"""Keep freed memory for the next step, on Linux."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -2, -3, -4  # from glibc's malloc.h
PAD_BYTES = 256 * 2**20


def keep_freed_memory(up_to_bytes: int | None = None) -> bool:
    """Tell glibc not to give large freed blocks back to the system.

    By default every activation of some megabytes is mapped, zeroed page by page and unmapped
    again at each step, which took up to two fifths of a training step on a CPU. For programs of
    our own (the command line), not for a library in someone else's process.

    Args:
        up_to_bytes: Larger blocks go back nevertheless; glibc takes at most 32 MiB. None: all are
            kept.

    Returns:
        Whether the system took it; elsewhere than on glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl
        return False
    settings = {M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: PAD_BYTES}
    settings |= {M_MMAP_MAX: 0} if up_to_bytes is None else {M_MMAP_THRESHOLD: up_to_bytes}
    return all(mallopt(parameter, value) == 1 for parameter, value in settings.items())

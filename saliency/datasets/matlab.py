"""MATLAB files, which two layouts keep fixations in."""

from pathlib import Path
from typing import Any

from saliency.errors import DatasetError


def load_mat(path: Path) -> dict[str, Any]:
    """Return the variables of a MATLAB file.

    Raises:
        DatasetError: The file is damaged, of another kind, or of version 7.3 (HDF5).
    """
    # Only here: SciPy comes with the training extra and takes a while to import.
    from scipy.io import loadmat

    try:
        contents = loadmat(path)
    except Exception as error:  # on damaged bytes SciPy raises nearly every class there is
        raise DatasetError(
            f"{path} should be a MATLAB file of version 7 or older; MATLAB's `save -v7` makes one "
            f"of a file of version 7.3. Found: {error}"
        ) from error
    return {name: value for name, value in contents.items() if not name.startswith("__")}

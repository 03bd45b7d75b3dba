"""A Predictor over files and folders -> pictures, a record a photo, and tables.

`find` and `naming` list the photos and name their results, `pipeline` computes them, `journal`
remembers what became of each, `tables` makes of it what the user opens. `read_entries` is how
others read the results.
"""

from saliency.batch.find import RESULT_NAME, Found, find_files
from saliency.batch.journal import Entry, Journal, read_entries, to_fingerprint
from saliency.batch.naming import Photo, find_photos, name_photos
from saliency.batch.pictures import MapKind, OverlayKind, Pictures
from saliency.batch.pipeline import Outcome, predict_files
from saliency.batch.records import flatten, list_columns, to_fields
from saliency.batch.tables import (
    FAILURES_NAME,
    TableFormat,
    check_format,
    name_table,
    write_failures,
    write_table,
)
from saliency.batch.watch import Watcher
from saliency.batch.writing import to_output_error

__all__ = [
    "FAILURES_NAME",
    "RESULT_NAME",
    "Entry",
    "Found",
    "Journal",
    "MapKind",
    "Outcome",
    "OverlayKind",
    "Photo",
    "Pictures",
    "TableFormat",
    "Watcher",
    "check_format",
    "find_files",
    "find_photos",
    "flatten",
    "list_columns",
    "name_photos",
    "name_table",
    "predict_files",
    "read_entries",
    "to_fields",
    "to_fingerprint",
    "to_output_error",
    "write_failures",
    "write_table",
]

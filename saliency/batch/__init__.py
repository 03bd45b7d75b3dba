"""Predictions for files and folders: pictures, one record per photo, and tables.

`predict_folder` is the whole job: `find` and `naming` list the photos and name their results, an
`engine` takes them through the `pipeline`, `journal` notes the outcome of each photo, `tables` and
`report` write the files that the user opens, and `events` report progress. `read_entries` reads
the results of a run. `scoring` is the smaller job: scores and quality, without pictures.
"""

from saliency.batch.events import (
    Event,
    Finished,
    PhotoDone,
    PhotoFailed,
    PhotosFound,
    PhotoSkipped,
    ReportProgress,
    Started,
)
from saliency.batch.find import RESULT_NAME, Found, find_files
from saliency.batch.folder import predict_folder
from saliency.batch.journal import Entry, Journal, read_entries, to_fingerprint
from saliency.batch.naming import Photo, find_photos, name_photos
from saliency.batch.passed_over import PassedOver
from saliency.batch.pictures import MapKind, OverlayKind, Pictures
from saliency.batch.pipeline import Outcome, predict_files
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
    "Event",
    "Finished",
    "Found",
    "Journal",
    "MapKind",
    "Outcome",
    "OverlayKind",
    "PassedOver",
    "Photo",
    "PhotoDone",
    "PhotoFailed",
    "PhotoSkipped",
    "PhotosFound",
    "Pictures",
    "ReportProgress",
    "Started",
    "TableFormat",
    "Watcher",
    "check_format",
    "find_files",
    "find_photos",
    "name_photos",
    "name_table",
    "predict_files",
    "predict_folder",
    "read_entries",
    "to_fingerprint",
    "to_output_error",
    "write_failures",
    "write_table",
]

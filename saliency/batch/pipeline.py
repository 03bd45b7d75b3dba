"""Predicts photos and writes their results, several photos at once, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from saliency.backends import NetworkOutput
from saliency.batch.journal import Entry, Journal
from saliency.batch.naming import Photo
from saliency.batch.pictures import Pictures, write_pictures
from saliency.batch.writing import ODD_NAME, to_output_error
from saliency.checkpoint import to_sha256
from saliency.errors import ImageError, SaliencyError
from saliency.images import DEFAULT_LIMITS, OwnColours
from saliency.predictor import Predictor, PreparedImage, to_prediction
from saliency.records import Record, to_record

GROUPS_AHEAD = 4
"""Groups in flight for each worker: enough that one slow photo does not stop the others."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one photo.

    Attributes:
        photo: The photo.
        entry: Its entry, with the record or the reason why there is none.
        resumed: Whether an earlier run had done it; a worker's entry then lacks the record, which
            `settle` takes from the journal.
    """

    photo: Photo
    entry: Entry
    resumed: bool = False


def predict_files(
    predictor: Predictor,
    photos: Iterable[Photo],
    journal: Journal,
    pictures: Pictures = Pictures(),  # noqa: B008 (frozen)
    *,
    batch_size: int = 1,
    workers: int = 1,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Predict photos, write their pictures, and note each in the journal.

    A worker takes a group of photos from file to result; workers run in parallel, since decoding,
    the network, drawing and compressing release Python's global lock. At most `workers` x
    `batch_size` photos are decoded at a time, however many there are. Photos that the journal has
    with the same content, weights and options are not predicted again. A photo that fails for a
    reason of its own does not stop the others.

    Args:
        predictor: The predictor that all workers use.
        photos: The photos, taken as they are needed.
        journal: The journal of the output folder.
        pictures: Which pictures to write of each photo.
        batch_size: Photos that go through the network together. With 1 a photo's results do not
            depend on the other photos, not by a bit.
        workers: Number of threads.
        is_stopping: Once it returns True, no photo is begun and those in work are finished.

    Yields:
        One outcome per photo, in order, after its files are written and its entry is in the
        journal.

    Raises:
        SaliencyError: The results cannot be written; photos that were done are in the journal.
    """

    def is_done(photo: Photo, sha256: str | None) -> bool:
        return journal.find_done(photo.name, sha256) is not None

    job = Job(predictor, pictures, journal.out_dir, journal.made_by, is_done)
    waiting: deque[Future[list[Outcome]]] = deque()
    failure: OSError | None = None

    def submit_groups(pool: ThreadPoolExecutor) -> Iterator[Future[list[Outcome]]]:
        ahead = iter(photos)
        while not is_stopping() and not failure and (group := list(islice(ahead, batch_size))):
            waiting.append(pool.submit(job.predict_group, group))
            if len(waiting) == GROUPS_AHEAD * workers:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()

    with ThreadPoolExecutor(workers, thread_name_prefix="photos") as pool:
        try:
            for future in submit_groups(pool):
                if failure or is_stopping():
                    for later in (future, *waiting):
                        later.cancel()  # has no effect on a group that a worker has begun
                try:
                    for outcome in future.result():
                        yield settle(outcome, journal)
                except CancelledError:
                    continue
                except OSError as error:
                    failure = failure or error
        finally:
            for future in waiting:
                future.cancel()
    if failure:
        raise to_output_error(journal.out_dir, failure) from failure


def settle(outcome: Outcome, journal: Journal) -> Outcome:
    """Note a worker's outcome in the journal; a resumed one gets its record from there first.

    Raises:
        OSError: The journal cannot be written.
    """
    photo, entry = outcome.photo, outcome.entry
    done = journal.find(photo.name) if outcome.resumed else None
    if done is not None and done.record is not None:
        record = replace(done.record, image=photo.file)  # it may have moved
        outcome = replace(outcome, entry=replace(entry, record=record))
    journal.append(outcome.entry)
    return outcome


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A photo on its way through the network, and its place in the group."""

    index: int
    photo: Photo
    sha256: str | None
    prepared: PreparedImage
    own: OwnColours | None


@dataclass(frozen=True, slots=True)
class Job:
    """The work of a worker on a group of photos, on any machine; it does not write the journal.

    Attributes:
        predictor: The predictor.
        pictures: Which pictures to write of each photo.
        out_dir: Folder of the results.
        made_by: The run's fingerprint, for its entries.
        is_done: Returns whether a photo of this SHA-256 was done before.
    """

    predictor: Predictor
    pictures: Pictures
    out_dir: Path
    made_by: str
    is_done: Callable[[Photo, str | None], bool]

    def predict_group(self, photos: Sequence[Photo]) -> list[Outcome]:
        """Return one outcome per photo, in order.

        Raises:
            OSError: The results cannot be written.
        """
        outcomes: dict[int, Outcome] = {}
        decoded: list[_Decoded] = []
        for index, photo in enumerate(photos):
            started = self._start(index, photo)
            if isinstance(started, _Decoded):
                decoded.append(started)
            else:
                outcomes[index] = started
        for batch in _split_by_size(decoded):
            output = self.predictor.infer([one.prepared for one in batch])
            for row, one in enumerate(batch):
                outcomes[one.index] = self._finish(one, output, row)
        return [outcomes[index] for index in range(len(photos))]

    def _start(self, index: int, photo: Photo) -> _Decoded | Outcome:
        """Decode a photo; return its outcome at once if it is done or cannot be read."""
        sha256 = None
        try:
            sha256 = _hash_content(photo.path)
            if self.is_done(photo, sha256):
                return Outcome(photo, self._to_entry(photo, sha256), resumed=True)
            own = None
            if self.pictures.crops:
                prepared, own = self.predictor.prepare_whole(photo.path)
            else:
                picture_side_px = self.pictures.needs_side_px
                prepared = self.predictor.prepare(photo.path, picture_side_px=picture_side_px)
            return _Decoded(index, photo, sha256, prepared, own)
        except ImageError as error:
            return self.fail(photo, sha256, str(error))
        except OSError as error:
            return self.fail(photo, sha256, f"{photo.file} cannot be read: {error.strerror}.")
        except Exception as error:
            return self._fail_oddly(photo, sha256, error)

    def _finish(self, one: _Decoded, output: NetworkOutput, row: int) -> Outcome:
        """Write the results of a photo from the network's output."""
        try:
            prediction = to_prediction(
                output, row, one.prepared.size, self.predictor.attributes, one.prepared.notes
            )
            record = write_pictures(
                self.predictor,
                one.photo,
                one.prepared.image,
                one.own,
                prediction,
                to_record(one.photo.file, prediction, one.prepared.measured),
                self.pictures,
                self.out_dir,
            )
        except OSError as error:
            if error.errno not in ODD_NAME:
                raise
            reason = f"{one.photo.file} has no place for its results: {error.strerror}."
            return self.fail(one.photo, one.sha256, reason)
        except SaliencyError as error:
            return self.fail(one.photo, one.sha256, f"{one.photo.file}: {error}")
        except Exception as error:
            return self._fail_oddly(one.photo, one.sha256, error)
        return Outcome(one.photo, self._to_entry(one.photo, one.sha256, record=record))

    def fail(self, photo: Photo, sha256: str | None, reason: str) -> Outcome:
        """Return the outcome of a photo that has no record, for a reason of one sentence."""
        return Outcome(photo, self._to_entry(photo, sha256, error=reason))

    def _fail_oddly(self, photo: Photo, sha256: str | None, error: Exception) -> Outcome:
        """Report an unexpected error as the photo's: one odd photo must not end a long run."""
        reason = " ".join(str(error).split())
        return self.fail(
            photo, sha256, f"{photo.file} cannot be predicted: {type(error).__name__}: {reason}"
        )

    def _to_entry(
        self,
        photo: Photo,
        sha256: str | None,
        *,
        record: Record | None = None,
        error: str | None = None,
    ) -> Entry:
        return Entry(
            name=photo.name,
            image=photo.file,
            real_path=photo.real_path,
            sha256=sha256,
            made_by=self.made_by,
            record=record,
            error=error,
        )


def _split_by_size(decoded: Sequence[_Decoded]) -> list[list[_Decoded]]:
    """Return batches for the network: the photos of each have one network size."""
    by_size: dict[tuple[int, int], list[_Decoded]] = {}
    for one in decoded:
        by_size.setdefault(one.prepared.network_size, []).append(one)
    return list(by_size.values())


def _hash_content(path: Path) -> str | None:
    """Return the file's SHA-256, or None for a file that `read_image` will refuse.

    It is computed before decoding, so that the next run notices a file that changes in between.
    """
    if path.is_dir():
        next(path.iterdir(), None)  # the search could not list the folder: this raises the reason
    if not path.is_file() or path.stat().st_size > DEFAULT_LIMITS.max_bytes:
        return None  # a pipe or device may never end
    return to_sha256(path)

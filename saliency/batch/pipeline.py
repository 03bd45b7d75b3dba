"""Photos through the network and onto the disk, several at once, in order."""

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
from saliency.batch.records import to_fields
from saliency.batch.writing import ODD_NAME, to_output_error
from saliency.checkpoint import to_sha256
from saliency.errors import ImageError, SaliencyError
from saliency.images import DEFAULT_LIMITS
from saliency.predictor import Predictor, PreparedImage, to_prediction

GROUPS_AHEAD = 4
"""Groups in flight for each worker: enough that one slow photo does not stop the others."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo.

    Attributes:
        photo: The photo.
        entry: With its record, or the reason why there is none.
        resumed: Whether an earlier run had done it.
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

    A worker takes a group of photos from file to result; workers overlap, since decoding, the
    network, drawing and compressing release the interpreter. At most `workers` x `batch_size`
    photos are decoded at a time, however many there are. What the journal has for the same
    content, weights and options is not made again. A photo that fails, for whatever reason of its
    own, does not stop the others.

    Args:
        predictor: Computes.
        photos: Taken as they are needed.
        journal: Of the output folder.
        pictures: What to write of each photo.
        batch_size: Photos that go through the network together. With 1 a photo's results do not
            depend on the others by a bit.
        workers: Threads.
        is_stopping: Once it says True, no photo is begun and those in work are finished.

    Yields:
        One outcome a photo, in order, after its files are written and its entry is in the journal.

    Raises:
        SaliencyError: The results cannot be written; what was done before is in the journal.
    """

    def find_done(photo: Photo, sha256: str | None) -> Outcome | None:
        done = journal.find_done(photo.name, sha256)
        return None if done is None else to_resumed(photo, done)

    job = Job(predictor, pictures, journal.out_dir, journal.made_by, find_done)
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
                        later.cancel()  # has no effect on what a worker has begun
                try:
                    for outcome in future.result():
                        journal.append(outcome.entry)
                        yield outcome
                except CancelledError:
                    continue
                except OSError as error:
                    failure = failure or error
        finally:
            for future in waiting:
                future.cancel()
    if failure:
        raise to_output_error(journal.out_dir, failure) from failure


def to_resumed(photo: Photo, done: Entry) -> Outcome:
    """Return the outcome of a photo that an earlier run has done."""
    record = {**(done.record or {}), "image": photo.file}  # it may have moved
    moved = replace(done, image=photo.file, real_path=photo.real_path, record=record)
    return Outcome(photo, moved, resumed=True)


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A photo on its way through the network, and its place in the group."""

    index: int
    photo: Photo
    sha256: str | None
    prepared: PreparedImage


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker does with a group of photos, on whatever machine; it writes no journal.

    Attributes:
        predictor: Computes.
        pictures: What to write of each photo.
        out_dir: Where.
        made_by: The run's fingerprint, for its entries.
        find_done: Returns the outcome of a photo, of this SHA-256, that needs no work.
    """

    predictor: Predictor
    pictures: Pictures
    out_dir: Path
    made_by: str
    find_done: Callable[[Photo, str | None], Outcome | None]

    def predict_group(self, photos: Sequence[Photo]) -> list[Outcome]:
        """Return an outcome a photo, in order.

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
        """Decode a photo, unless it is done or cannot be read."""
        sha256 = None
        try:
            sha256 = _hash_content(photo.path)
            if (done := self.find_done(photo, sha256)) is not None:
                return done
            picture_side_px = self.pictures.needs_side_px
            prepared = self.predictor.prepare(photo.path, picture_side_px=picture_side_px)
            return _Decoded(index, photo, sha256, prepared)
        except ImageError as error:
            return self.fail(photo, sha256, str(error))
        except OSError as error:
            return self.fail(photo, sha256, f"{photo.file} cannot be read: {error.strerror}.")
        except Exception as error:
            return self._fail_oddly(photo, sha256, error)

    def _finish(self, one: _Decoded, output: NetworkOutput, row: int) -> Outcome:
        """Write what the network says of a photo."""
        try:
            prediction = to_prediction(output, row, one.prepared.size, self.predictor.attributes)
            record = {"image": one.photo.file, **to_fields(prediction)}
            record |= write_pictures(
                self.predictor,
                one.photo,
                one.prepared.image,
                prediction,
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
        """Name a failure that nobody foresaw: one odd photo must not end a run of hours."""
        reason = " ".join(str(error).split())
        return self.fail(
            photo, sha256, f"{photo.file} cannot be predicted: {type(error).__name__}: {reason}"
        )

    def _to_entry(
        self,
        photo: Photo,
        sha256: str | None,
        *,
        record: dict[str, object] | None = None,
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
    """Return the batches that can go through the network: each of one network size."""
    by_size: dict[tuple[int, int], list[_Decoded]] = {}
    for one in decoded:
        by_size.setdefault(one.prepared.network_size, []).append(one)
    return list(by_size.values())


def _hash_content(path: Path) -> str | None:
    """Return the file's SHA-256, or None for what `read_image` refuses anyway.

    Before decoding: if the file changes in between, the next run sees other content.
    """
    if path.is_dir():
        next(path.iterdir(), None)  # comes here because it could not be listed: this says why
    if not path.is_file() or path.stat().st_size > DEFAULT_LIMITS.max_bytes:
        return None  # a pipe or device may never end
    return to_sha256(path)

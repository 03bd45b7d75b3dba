"""Prediction with Ray Data: workers on one machine or many; only the driver writes the journal.

A worker is an actor with a Predictor. It gets tasks of a few photos, treats them as a local worker
does (`pipeline.Job`), and sends back their entries for the journal. Photos and results are not
sent: every worker sees both folders, by the same paths, on a shared file system.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Ray reports its use to its makers; here it does so only if the user asks for it.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Without this, each start prints a warning that does not concern this program.
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

import ray
import ray.data
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from saliency import __version__
from saliency.backends import BackendName
from saliency.batch.engine import Computing, LocalEngine
from saliency.batch.journal import JOURNAL_NAME, Entry, Journal
from saliency.batch.naming import Photo
from saliency.batch.pictures import Pictures
from saliency.batch.pipeline import Job, Outcome, settle
from saliency.batch.writing import to_output_error
from saliency.checkpoint import find_weights, identify
from saliency.devices import count_cores
from saliency.errors import ConfigError, DeviceError, SaliencyError
from saliency.predictor import Predictor

PHOTOS_A_TASK = 8
"""Photos per task: enough that sending costs little, few enough that a crash loses little."""

ATTEMPTS = 2
"""How often a photo is tried alone after a worker has died while it was in work with others."""

CONNECT_S = 10.0
"""How long the head of a cluster may take to accept a connection, in seconds."""

OBJECT_STORE_BYTES = 200 * 2**20
"""Object store of a Ray that is started here; only names of photos and records go through it."""


@contextmanager
def run_ray(address: str | None = None) -> Iterator[None]:
    """Connect to a Ray cluster, or start a Ray on this machine that ends with the context.

    Args:
        address: `auto` on a machine of the cluster, or HOST:PORT; None starts Ray on this machine.

    Raises:
        ConfigError: There is no cluster at `address`.
    """
    options: dict[str, Any] = {"address": address}
    if address is None:
        options = {
            "address": "local",
            "num_cpus": count_cores(),
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_dashboard": False,
        }
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    asks_to_stop = signal.getsignal(signal.SIGTERM)
    try:
        if address is not None and address != "auto":
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), CONNECT_S).close()  # Ray tries for minutes
        ray.init(**options, configure_logging=False, log_to_driver=False)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            "`--ray-address` should be that of a running cluster, with RAY_AUTH_MODE=token if it "
            f"asks for one. Found {address}: {reason}"
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, asks_to_stop)  # Ray has put its own there
    try:
        yield
    finally:
        ray.shutdown()


class RayEngine:
    """Workers on a running Ray.

    Attributes:
        computing: Device, backend and precision of a worker.
        workers: Number of actors.
    """

    def __init__(
        self,
        weights: Path | None = None,
        device: str = "auto",
        backend: BackendName = "auto",
        *,
        workers: int | None = None,
        batch_size: int | None = None,
    ) -> None:
        """Ask one worker for its device and backend; all others must have the same.

        Args:
            weights: As for `Predictor.load`.
            device: As for `Predictor.load`; `auto` takes the cluster's GPUs if it has some.
            backend: As for `Predictor.load`.
            workers: Number of actors; None: one per GPU, which shares the cores, or without GPUs
                one per core.
            batch_size: Photos that go through the network together; None: chosen for the device.

        Raises:
            DeviceError: GPUs are wanted and the cluster has none.
            SaliencyError: A worker cannot load the weights.
        """
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cores = max(1, int(resources.get("CPU", 1)))
        gpus = int(resources.get("GPU", 0)) if device == "auto" or device.startswith("cuda") else 0
        if device.startswith("cuda") and not gpus:
            raise DeviceError(f"`device` {device} needs a cluster with GPUs. Found none there.")
        if device == "auto":
            device = "cuda" if gpus else "cpu"
        self.workers = workers or gpus or cores
        self._setup = _Setup(
            weights=None if weights is None else str(weights.resolve()),
            weights_sha256=identify(find_weights(weights)),
            version=__version__,
            device=device,
            backend=backend,
            threads=max(1, cores // gpus) if gpus else 1,
            folder=str(Path.cwd()),
        )
        self._num_gpus = 1 if gpus else 0
        needs = {"num_cpus": self._setup.threads, "num_gpus": self._num_gpus}
        asked = ray.remote(_describe).options(**needs).remote(self._setup)
        try:
            found: tuple[Computing, int] = ray.get(asked)
        except RayTaskError as error:
            if isinstance(error.cause, SaliencyError):
                raise error.cause from None
            raise
        self.computing, usual_batch_size = found
        self._batch_size: int = batch_size or usual_batch_size

    def describe(self) -> str:
        """Return device, backend and number of workers as text for people."""
        device, backend, _ = self.computing
        return f"device: {device}, backend: {backend}, workers on Ray: {self.workers}"

    def predict_files(
        self,
        photos: Sequence[Photo],
        journal: Journal,
        pictures: Pictures = Pictures(),  # noqa: B008 (frozen)
        *,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> Iterator[Outcome]:
        """Do what `pipeline.predict_files` does; outcomes come in the order in which they end.

        The list of photos is sent at once, a few hundred bytes per photo. A worker that dies is
        started again, and its photos are tried again one by one. A photo with which a worker dies
        `ATTEMPTS` more times has failed.

        Args:
            photos: All photos.
            journal: The journal of the output folder; only this process writes it.
            pictures: Which pictures to write of each photo.
            is_stopping: Once it returns True, no task is begun and those in work are finished.

        Yields:
            One outcome per photo, after its files are written and its entry is in the journal.

        Raises:
            SaliencyError: The results cannot be written, a worker does not see the folders or has
                another version or other weights, or the cluster is gone; photos that were done
                are in the journal.
        """
        size = max(PHOTOS_A_TASK, 2 * self._batch_size * self._setup.threads)
        tasks = [photos[first : first + size] for first in range(0, len(photos), size)]
        rows = [
            {"task": number, "photos": _to_json(task, journal)} for number, task in enumerate(tasks)
        ]
        # On this process's machine: neither is of use without the other.
        this_node = NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        desk: Any = ray.remote(_Desk).options(num_cpus=0, scheduling_strategy=this_node).remote()
        results = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            _Worker,  # type: ignore[arg-type]  # a class, of which every actor makes its own
            fn_constructor_kwargs={
                "setup": self._setup,
                "batch_size": self._batch_size,
                "pictures": pictures,
                "out_dir": journal.out_dir.resolve(),
                "made_by": journal.made_by,
                "desk": desk,
            },
            compute=ray.data.ActorPoolStrategy(size=min(self.workers, len(tasks))),
            num_cpus=self._setup.threads,
            num_gpus=self._num_gpus,
        )
        failure: SaliencyError | None = None
        begun: int | None = None  # number of tasks that were begun; known once no more are
        answered = 0
        answers = iter(results.iter_rows())
        try:
            while (begun is None or answered < begun) and (row := next(answers, None)) is not None:
                answer = json.loads(row["answer"])
                answered += answer is not None
                if isinstance(answer, str):
                    failure = failure or SaliencyError(answer)
                elif answer is not None:
                    for photo, (resumed, line) in zip(tasks[row["task"]], answer, strict=True):
                        outcome = Outcome(photo, Entry.from_line(line), resumed)
                        yield settle(outcome, journal)
                if begun is None and (failure or is_stopping()):
                    begun = ray.get(desk.stop.remote())
        except OSError as error:
            raise to_output_error(journal.out_dir, error) from error
        except RayError as error:
            reason = " ".join(str(error).split())
            raise SaliencyError(
                f"Ray should have finished the photos. Found: {reason} Photos that are done are "
                "kept. Run the same command again; it continues where it stopped."
            ) from error
        if failure:
            raise failure


@dataclass(frozen=True, slots=True)
class _Setup:
    """The version and weights that every worker must have, and how it loads its Predictor."""

    weights: str | None
    weights_sha256: str
    version: str
    device: str
    backend: BackendName
    threads: int
    folder: str

    def load(self) -> Predictor:
        """Return the Predictor of a worker.

        Raises:
            SaliencyError: The worker has another version or other weights than the driver, or it
                cannot load them on this device or backend.
        """
        if self.version != __version__:
            raise ConfigError(
                f"Workers should have the driver's version, aesthetic-saliency {self.version}. "
                f"Found {__version__}."
            )
        path = find_weights(self.weights)
        predictor = Predictor.load(path, self.device, backend=self.backend, threads=self.threads)
        if identify(path) != self.weights_sha256:
            raise ConfigError(
                f"Workers should have the driver's weights. Found other content in {path}."
            )
        if Path(self.folder).is_dir():
            os.chdir(self.folder)  # photos may be named relative to it
        return predictor


def _describe(setup: _Setup) -> tuple[Computing, int]:
    """Return what a worker computes with, and the usual batch size of its device."""
    engine = LocalEngine(setup.load(), batch_size=1, workers=1)
    return engine.computing, engine.predictor.batch_size


class _Desk:
    """An actor that counts tasks and photos in work: it shows what a dead worker was working on."""

    def __init__(self) -> None:
        self._tasks: Counter[int] = Counter()
        self._photos: Counter[str] = Counter()
        self._is_stopping = False

    def begin_task(self, task: int) -> int | None:
        """Note that a task begins; return how often it was begun before, None if it must not."""
        if self._is_stopping and task not in self._tasks:
            return None
        self._tasks[task] += 1
        return self._tasks[task] - 1

    def begin_photo(self, name: str) -> int:
        """Note that a photo begins; return how often it was begun before and never ended."""
        self._photos[name] += 1
        return self._photos[name] - 1

    def end_photo(self, name: str) -> None:
        """Note that the worker has survived the photo."""
        del self._photos[name]

    def stop(self) -> int:
        """Let no more tasks begin; return how many have begun."""
        self._is_stopping = True
        return len(self._tasks)


class _Worker:
    """An actor that takes tasks from file to result."""

    def __init__(
        self,
        setup: _Setup,
        batch_size: int,
        pictures: Pictures,
        out_dir: Path,
        made_by: str,
        desk: Any,
    ) -> None:
        self._desk = desk
        self._batch_size = batch_size
        self._done: dict[str, str] = {}
        self._threads = ThreadPoolExecutor(setup.threads, thread_name_prefix="photos")
        self._job: Job | None = None
        try:
            predictor = setup.load()
            if not (out_dir / JOURNAL_NAME).is_file():
                raise ConfigError(
                    f"`--output` should be a folder that every worker sees, on a shared file "
                    f"system. Found a worker that has no {out_dir}."
                )
        except SaliencyError as error:
            self._unable = str(error)  # if it were raised here, Ray would retry without end
        else:
            self._job = Job(predictor, pictures, out_dir, made_by, self._is_done)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return, as JSON, one entry per photo, or an error text, or null for a task not begun."""
        earlier = ray.get(self._desk.begin_task.remote(row["task"]))
        answer = None if earlier is None else self._predict(json.loads(row["photos"]), earlier > 0)
        return {"task": row["task"], "answer": json.dumps(answer)}

    def _predict(self, sent: list[Any], is_careful: bool) -> list[tuple[bool, str]] | str:
        if self._job is None:
            return self._unable
        photos = [Photo(*names) for *names, _ in sent]
        self._done = {photo.name: done for photo, (*_, done) in zip(photos, sent, strict=True)}
        try:
            if is_careful:
                outcomes = [self._predict_alone(self._job, photo) for photo in photos]
            else:
                groups = [
                    photos[first : first + self._batch_size]
                    for first in range(0, len(photos), self._batch_size)
                ]
                done = self._threads.map(self._job.predict_group, groups)
                outcomes = [outcome for group in done for outcome in group]
        except OSError as error:
            return str(to_output_error(self._job.out_dir, error))
        return [(outcome.resumed, outcome.entry.to_line()) for outcome in outcomes]

    def _predict_alone(self, job: Job, photo: Photo) -> Outcome:
        """Predict one photo of a task during which a worker has died."""
        died = ray.get(self._desk.begin_photo.remote(photo.name))
        if died < ATTEMPTS:
            [outcome] = job.predict_group([photo])
        else:
            reason = f"{photo.file} cannot be predicted: {died} workers died with it alone."
            outcome = job.fail(photo, None, reason)
        self._desk.end_photo.remote(photo.name)
        return outcome

    def _is_done(self, photo: Photo, sha256: str | None) -> bool:
        """Return whether the driver has the record of this very photo."""
        return sha256 is not None and self._done[photo.name] == sha256


def _to_json(photos: Sequence[Photo], journal: Journal) -> str:
    """Return the photos as JSON; photos that were done come with the SHA-256 of that time."""
    sent = []
    for photo in photos:
        last = journal.find(photo.name)
        done = last and journal.find_done(photo.name, last.sha256)
        sent.append((photo.file, photo.name, photo.real_path, done.sha256 if done else None))
    return json.dumps(sent)

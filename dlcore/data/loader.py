"""A map-style dataset read batch by batch, by worker processes or without.

One function fetches a batch, here or in a worker, so the number of workers changes nothing but speed. A
worker that dies or hangs ends the epoch with a sentence within `TIMEOUT` seconds.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import shutil
import signal
import warnings
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from dlcore.cores import usable_cores
from dlcore.data.seeding import torch_generator
from dlcore.errors import UserError

TIMEOUT = 60
"""Seconds without a batch after which the loader gives up."""

PREFETCH = 2
"""Batches each worker keeps ready."""

SHARED_MEMORY = Path("/dev/shm")

Key = tuple[int, list[int]]  # epoch, positions of one batch

_open_loaders: weakref.WeakSet[Loader] = weakref.WeakSet()


class Loader:
    """Fetches the batches it is told to, in that order.

    Args:
        dataset: ``dataset[(epoch, index)] -> (input, target)``.
        batch_size: the largest batch that will be asked for.
        workers: processes; 0 fetches in this one.

    Attributes:
        workers: how many are really used.
        notes: why that is fewer than asked, if it is.
        largest: bytes of the largest batch so far.
    """

    def __init__(self, dataset: Dataset[Any], batch_size: int, *, workers: int = 0) -> None:
        self._fetch = _Fetch(dataset)
        self._keys = _Keys()
        self._processes: set[Any] = set()
        self._loader: DataLoader[Any] | None = None
        self._busy = False
        self.largest = 0
        shortage = _shortage(self._fetch, batch_size, workers) if workers else ""
        self.workers = 0 if shortage else workers
        self.notes: tuple[str, ...] = tuple(filter(None, (shortage or _crowd(workers),)))

    def load(self, epoch: int, chunks: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of each chunk of positions.

        A second look while the workers are busy with an unfinished one is answered by this process.

        Raises:
            UserError: a worker died, hung, or met a file that cannot be read.
        """
        keys = [(epoch, chunk.tolist()) for chunk in chunks]
        try:
            for answer in self._answers(keys):
                if isinstance(answer, UserError):
                    raise answer
                inputs, targets = answer
                self.largest = max(self.largest, inputs.nbytes + targets.nbytes)
                yield inputs, targets
        except RuntimeError as error:
            failure = loader_failure(error)
            if failure is None:
                raise
            raise failure from error

    @property
    def ahead(self) -> int:
        """Bytes of the batches that the worker processes keep ready, in shared memory."""
        return PREFETCH * self.workers * self.largest

    def close(self) -> None:
        """End the worker processes, by force if they do not listen."""
        iterator = getattr(self._loader, "_iterator", None)
        self._loader = None
        if iterator is not None:
            # Asks them to end, and waits a little. Not left to its destructor: a batch under way may hold it for
            # longer, and a process that is forked meanwhile would run it as well, and complain of it.
            with suppress(RuntimeError):  # a worker died: whoever waited for its batch has been told
                iterator._shutdown_workers()
        for process in self._processes:
            if process.is_alive():
                process.kill()
                process.join()
        self._processes.clear()
        _open_loaders.discard(self)

    def _answers(self, keys: list[Key]) -> Iterator[Any]:
        if not self.workers or self._busy:
            for key in keys:
                yield _unwrap(self._fetch[key])
            return
        self._busy = True
        try:
            self._keys.keys = keys
            if self._loader is None:
                self._loader = self._open()
            before = set(multiprocessing.active_children())
            with _uncounted():
                answers = iter(self._loader)
            self._processes |= set(multiprocessing.active_children()) - before
            yield from answers
        finally:
            self._busy = False

    def _open(self) -> DataLoader[Any]:
        if not _open_loaders:
            atexit.unregister(_end_at_exit)
            atexit.register(_end_at_exit)  # after multiprocessing's own, hence run before it
        _open_loaders.add(self)
        with _uncounted():
            return DataLoader(
                self._fetch,
                sampler=self._keys,
                batch_size=None,  # a key is a whole batch
                collate_fn=_identity,
                num_workers=self.workers,
                persistent_workers=True,
                prefetch_factor=PREFETCH,
                timeout=TIMEOUT,
                worker_init_fn=_shield_worker,
                generator=torch_generator("loader"),  # the global one is the training's
            )


def _end_at_exit() -> None:
    """End workers of loaders that were never closed: multiprocessing would wait for the shielded ones."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler would raise at each death
    for loader in _open_loaders:
        for process in loader._processes:
            process.kill()


def loader_failure(error: BaseException) -> UserError | None:
    """The sentence for a torch error about loader workers, or None when it is about something else.

    torch raises the death of a worker from a signal handler, so it may surface anywhere in the main thread.
    """
    text = str(error)
    if not isinstance(error, RuntimeError) or "DataLoader" not in text:
        return None
    if "timed out" in text:
        return UserError(
            f"no batch came from the data loading processes for {TIMEOUT} s (a slow or stuck disk?): "
            "resume the run from its last checkpoint, with training.workers = 0 if it happens again"
        )
    if "Bus error" in text:
        return UserError(
            f"a data loading process ran out of shared memory in {SHARED_MEMORY}: "
            "resume the run with fewer training.workers, or with 0"
        )
    if "killed by signal" in text or "exited unexpectedly" in text:
        return UserError(
            "a data loading process died (killed, often for want of memory): "
            "resume the run from its last checkpoint, with fewer training.workers"
        )
    return None


class _Keys(Sampler[Key]):
    """The batches of the epoch under way; the loader reads them anew at each start."""

    def __init__(self) -> None:
        self.keys: list[Key] = []

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


class _Fetch(Dataset[Any]):
    """A whole batch at once; errors meant for the user travel back as values, free of worker tracebacks."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __getitem__(self, key: Key) -> Any:
        epoch, indices = key
        try:
            inputs, targets = default_collate([self.dataset[epoch, index] for index in indices])
        except UserError as error:
            return error
        return inputs, targets


def _unwrap(answer: Any) -> tuple[Tensor, Tensor]:
    if isinstance(answer, UserError):
        raise answer
    inputs, targets = answer
    return inputs, targets


def _identity(answer: Any) -> Any:
    return answer


def _shield_worker(_worker: int) -> None:
    """A Ctrl-C or terminate meant for the trainer's whole group must not end workers before its last save."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warned = False

    def terminate(_signal: int, _frame: Any) -> None:
        nonlocal warned
        if warned:
            os._exit(0)
        warned = True

    signal.signal(signal.SIGTERM, terminate)


@contextmanager
def _uncounted() -> Iterator[None]:
    """Without torch's warning that workers are more than cores, in four lines: `_crowd` says it in one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This DataLoader will create", category=UserWarning)
        yield


def _crowd(workers: int) -> str:
    cores = usable_cores()
    if workers <= cores:
        return ""
    shared = "one core" if cores == 1 else f"{cores} cores"
    return f"training.workers = {workers} processes share {shared}: that pays only where they wait for a disk"


def _shortage(fetch: _Fetch, batch_size: int, workers: int) -> str:
    """Why workers cannot hand batches over, or nothing."""
    if not SHARED_MEMORY.is_dir() or not len(fetch.dataset):  # type: ignore[arg-type]
        return ""
    inputs, targets = _unwrap(fetch[0, [0]])
    # Semaphores live there, too, and every tensor takes whole pages.
    needed = (inputs.nbytes + targets.nbytes) * batch_size * (PREFETCH * workers + 1) + 2**20
    free = shutil.disk_usage(SHARED_MEMORY).free
    if needed * 1.25 <= free:
        return ""
    return (
        f"training.workers = {workers} needs about {needed / 2**20:,.0f} MB of shared memory and "
        f"{SHARED_MEMORY} has {free / 2**20:,.0f} MB free: loading without workers"
    )

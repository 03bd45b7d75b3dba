"""The queue before the network, without a network."""

import asyncio
import random
import threading
import time

import pytest

from service.batching import MicroBatcher, QueueClosedError, QueueFullError


class Doubler:
    """Doubles numbers and remembers each batch; a held one ends no batch before `release`."""

    def __init__(self, seconds=0.0, *, held=False):
        self.batches, self.seconds = [], seconds
        self._begun, self._released = threading.Event(), threading.Event()
        if not held:
            self.release()

    def __call__(self, items):
        self.batches.append(list(items))
        self._begun.set()
        self._released.wait()
        time.sleep(self.seconds)
        return [2 * item for item in items]

    def release(self):
        self._released.set()

    async def begun(self):
        """Wait until the first batch is being computed."""
        await asyncio.to_thread(self._begun.wait)


def build(compute, **options):
    options = {"batch_size": 4, "window_s": 0.02, "queue_length": 100} | options
    kind = options.pop("kind", lambda item: None)
    return MicroBatcher(compute, kind, **options)


async def submit_all(batcher, items):
    """The results of items that come together; exceptions as results."""
    return await asyncio.gather(*map(batcher.submit, items), return_exceptions=True)


def run(compute, items, **options):
    async def main():
        batcher = build(compute, **options)
        batcher.start()
        answers = await submit_all(batcher, items)
        await batcher.close()
        return answers

    return asyncio.run(main())


def test_items_that_come_together_share_batches():
    compute = Doubler()
    run(compute, range(10))
    assert [len(batch) for batch in compute.batches] == [4, 4, 2]


def test_each_gets_its_own_result():
    assert [answer.result for answer in run(Doubler(), range(10))] == [2 * i for i in range(10)]


def test_answers_say_how_large_the_batch_was_and_how_long_it_took():
    answers = run(Doubler(seconds=0.02), range(4))
    for answer in answers:
        assert answer.batch_size == 4
        assert answer.compute_s >= 0.02
        assert answer.queue_s >= 0


def test_a_full_batch_does_not_wait_for_the_window():
    answers = run(Doubler(), range(4), window_s=30)
    assert max(answer.queue_s for answer in answers) < 30


def test_one_alone_waits_for_the_window():
    [answer] = run(Doubler(), [1], window_s=0.1)
    assert answer.queue_s > 0.09
    assert answer.batch_size == 1


def test_who_comes_within_the_window_joins():
    compute = Doubler()

    async def main():
        batcher = build(compute, window_s=30, batch_size=2)
        batcher.start()
        first = asyncio.create_task(batcher.submit(1))
        await asyncio.sleep(0.01)
        await asyncio.gather(first, batcher.submit(2))
        await batcher.close()

    asyncio.run(main())
    assert compute.batches == [[1, 2]]


def test_while_one_batch_is_computed_the_next_gathers():
    compute = Doubler(held=True)

    async def main():
        batcher = build(compute, window_s=0)
        batcher.start()
        first = asyncio.create_task(batcher.submit(0))
        await compute.begun()
        others = [asyncio.create_task(batcher.submit(i)) for i in range(1, 4)]
        await asyncio.sleep(0)
        compute.release()
        await asyncio.gather(first, *others)
        await batcher.close()

    asyncio.run(main())
    assert compute.batches == [[0], [1, 2, 3]]


def test_kinds_are_not_mixed():
    compute = Doubler()
    answers = run(compute, range(16), kind=lambda item: item % 3)
    assert [answer.result for answer in answers] == [2 * i for i in range(16)]
    for batch in compute.batches:
        assert len({item % 3 for item in batch}) == 1


def test_a_rare_kind_does_not_starve():
    """One odd item among ever new even ones is answered with those that came before it."""
    compute = Doubler(seconds=0.005)

    async def main():
        batcher = build(compute, kind=lambda item: item % 2, window_s=0, batch_size=2)
        batcher.start()
        flood = [asyncio.create_task(batcher.submit(2 * i)) for i in range(20)]
        odd = asyncio.create_task(batcher.submit(1))
        flood += [asyncio.create_task(batcher.submit(2 * i)) for i in range(20, 60)]
        await odd
        done = sum(task.done() for task in flood)
        await asyncio.gather(*flood)
        await batcher.close()
        return done

    assert asyncio.run(main()) <= 24


def test_who_has_left_is_not_computed():
    compute = Doubler(held=True)

    async def main():
        batcher = build(compute, window_s=0)
        batcher.start()
        first = asyncio.create_task(batcher.submit(0))
        await compute.begun()
        waiting = [asyncio.create_task(batcher.submit(i)) for i in (1, 2, 3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        compute.release()
        await asyncio.gather(first, *waiting, return_exceptions=True)
        await batcher.close()
        return waiting[1].cancelled()

    assert asyncio.run(main())
    assert compute.batches == [[0], [1, 3]]


def test_who_leaves_while_it_is_computed_disturbs_nobody():
    compute = Doubler(held=True)

    async def main():
        batcher = build(compute, window_s=0)
        batcher.start()
        tasks = [asyncio.create_task(batcher.submit(i)) for i in range(4)]
        await compute.begun()
        tasks[2].cancel()
        compute.release()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await batcher.close()
        return [answer.result for i, answer in enumerate(answers) if i != 2]

    assert asyncio.run(main()) == [0, 2, 6]


def test_a_full_queue_refuses_at_once():
    answers = run(Doubler(), range(10), queue_length=6)
    assert [type(answer) for answer in answers[6:]] == [QueueFullError] * 4
    assert [answer.result for answer in answers[:6]] == [2 * i for i in range(6)]


def test_places_in_the_queue_come_back():
    async def main():
        batcher = build(Doubler(), queue_length=2, window_s=0)
        batcher.start()
        for _ in range(5):
            answers = await submit_all(batcher, [1, 2])
            assert [answer.result for answer in answers] == [2, 4]
        await batcher.close()
        return len(batcher)

    assert asyncio.run(main()) == 0


def test_an_error_reaches_every_member_of_its_batch_and_no_other():
    def compute(items):
        if 5 in items:
            raise ValueError("five")
        return items

    answers = run(compute, range(8))
    assert [answer.result for answer in answers[:4]] == [0, 1, 2, 3]
    assert [str(answer) for answer in answers[4:]] == ["five"] * 4


def test_after_an_error_the_queue_goes_on():
    fails = [True, False]

    def compute(items):
        if fails.pop(0):
            raise ValueError
        return items

    async def main():
        batcher = build(compute, window_s=0)
        batcher.start()
        [failed] = await submit_all(batcher, [1])
        answer = await batcher.submit(2)
        await batcher.close()
        return failed, answer.result

    failed, result = asyncio.run(main())
    assert isinstance(failed, ValueError)
    assert result == 2


def test_close_computes_what_waits():
    async def main():
        batcher = build(Doubler(seconds=0.02), window_s=30, batch_size=2)
        batcher.start()
        tasks = [asyncio.create_task(batcher.submit(i)) for i in range(5)]
        await asyncio.sleep(0)
        await batcher.close()
        return await asyncio.gather(*tasks)

    answers = asyncio.run(main())
    assert [answer.result for answer in answers] == [0, 2, 4, 6, 8]
    assert max(answer.queue_s for answer in answers) < 30  # not the window


def test_after_close_nothing_is_taken():
    async def main():
        batcher = build(Doubler())
        batcher.start()
        await batcher.close()
        with pytest.raises(QueueClosedError):
            await batcher.submit(1)

    asyncio.run(main())


def test_close_leaves_no_thread_behind():
    before = threading.active_count()
    run(Doubler(), range(10))
    assert threading.active_count() == before


def test_one_batch_is_computed_at_a_time():
    busy, most = [0], [0]
    lock = threading.Lock()

    def compute(items):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        time.sleep(0.02)
        with lock:
            busy[0] -= 1
        return items

    run(compute, range(24), window_s=0)
    assert most[0] == 1


@pytest.mark.parametrize("seed", range(3))
def test_under_random_timing_nothing_is_lost_swapped_or_computed_twice(seed):
    rng = random.Random(seed)  # noqa: S311
    computed = []

    def compute(items):
        computed.extend(items)
        time.sleep(rng.random() * 0.004)
        return [("result", item) for item in items]

    async def client(batcher, item):
        await asyncio.sleep(rng.random() * 0.1)
        task = asyncio.create_task(batcher.submit(item))
        if rng.random() < 0.2:
            await asyncio.sleep(rng.random() * 0.01)
            task.cancel()
        try:
            assert (await task).result == ("result", item)
        except asyncio.CancelledError:
            return None
        return item

    async def main():
        batcher = build(compute, kind=lambda item: item % 3, window_s=0.003, queue_length=1000)
        batcher.start()
        answered = await asyncio.gather(*(client(batcher, i) for i in range(300)))
        await batcher.close()
        return [item for item in answered if item is not None]

    answered = asyncio.run(main())
    assert len(answered) > 200
    assert set(answered) <= set(computed)
    assert len(computed) == len(set(computed))

"""A workers runs each of its programs once: whoever sleeps, fails, interrupts, forks or leaves."""

import _thread
import gc
import os
import random
import threading
import time
from queue import Empty, SimpleQueue
from types import SimpleNamespace

import numpy as np
import pytest

from often import some
from plaingrad.compiler import program as program_module
from plaingrad.compiler.loops import has_numba
from plaingrad.compiler.native_call import DONE
from plaingrad.compiler.program import Program, Workers
from plaingrad.textbook.layer import bind
from test_loops import python
from test_program import check_alike, refuse, refusing, stirring

pytestmark = pytest.mark.skipif(not has_numba(), reason="without Numba nothing is compiled")
RNG = np.random.default_rng(0)


def within(seconds, work, workers):
    """What `work()` returns or raises, in a thread of its own. A workers that keeps it waiting fails the test."""
    box = SimpleQueue()

    def go():
        try:
            box.put((work(), None))
        except BaseException as error:
            box.put((None, error))

    threading.Thread(target=go, daemon=True).start()
    try:
        value, error = box.get(timeout=seconds)
    except Empty:
        workers.slots[:, DONE] = workers.ticket  # the waiting thread goes on, and leaves
        pytest.fail(f"the workers hangs: {workers.asleep=}")
    if error:
        raise error
    return value


@pytest.mark.parametrize("place", [0, 1, 2])
def test_workers_raise_what_one_of_their_programs_raised_when_all_are_done(place):
    workers, (programs, twins) = Workers(3), zip(*(stirring(2000) for _ in range(3)), strict=True)
    for _ in range(3):
        failing = list(programs)
        failing[place] = refusing(0)
        with pytest.raises(ValueError, match="a number is not above zero"):
            workers.run(failing)
        for number, twin in enumerate(twins):
            if number != place:
                twin()
        check_alike(programs, twins)
    workers.run(programs)
    for twin in twins:
        twin()
    check_alike(programs, twins)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_workers_run_every_program_once(size):
    """In more threads than there are processors too, and fewer programs than threads; the work is uneven."""
    workers, made = Workers(size), [stirring(1 + 500 * (number % 3), count=1 + number % 2) for number in range(size)]
    programs, twins = zip(*made, strict=True)
    for count in (*range(1, size + 1), size, 1, size):
        within(20, lambda count=count: workers.run(programs[:count]), workers)
        for twin in twins[:count]:
            twin()
        check_alike(programs, twins)


def pause(seconds, awake):
    """Pass some time with the interpreter's lock in hand, or without. A thread that falls asleep waits for the lock."""
    until = time.perf_counter() + seconds
    if not awake:
        time.sleep(seconds)
    while time.perf_counter() < until:
        pass


def spread(threads):
    """Let each thread have a processor of its own where there are so many: on one they take turns, and never meet."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    for thread, own in zip(threads, usable, strict=False):
        os.sched_setaffinity(thread.native_id, {own})


def hesitant(step):
    """A step with a rest before and after it, in which the other threads may do anything."""

    def rested(*given):
        time.sleep(random.uniform(0, 1e-3))
        result = step(*given)
        time.sleep(random.uniform(0, 1e-3))
        return result

    return rested


@pytest.mark.parametrize(
    ("size", "hesitate", "runs"),
    some([(2, True, 200), (2, False, 2000), (3, False, 1000), (2, True, 500)], lambda place: place == 0),
)
def test_no_thread_misses_its_call_while_it_falls_asleep(size, hesitate, runs, monkeypatch):
    """Calls come at any time: while a thread is awake, asleep, or between the two."""
    if hesitate:
        known = vars(program_module.callers())
        steps = SimpleNamespace(**known | {name: hesitant(known[name]) for name in ("wake", "serve")})
        monkeypatch.setattr(program_module, "callers", lambda: steps)
    workers, (programs, twins) = Workers(size), zip(*(stirring() for _ in range(size)), strict=True)

    def work():
        before = set(threading.enumerate())
        workers.run(programs)
        spread([threading.current_thread(), *set(threading.enumerate()) - before])
        for number, seconds in enumerate(RNG.uniform(0, 2e-3, runs)):
            pause(seconds, awake=number % 2)
            workers.run(programs)

    within(60, work, workers)
    for twin in twins:
        for _ in range(runs + 1):
            twin()
    check_alike(programs, twins)


@pytest.mark.parametrize("way", ["end", "drop"])
def test_the_threads_of_workers_leave_with_them(way):
    before = set(threading.enumerate())
    workers, programs = Workers(3), [stirring()[0] for _ in range(3)]
    assert set(threading.enumerate()) == before  # a workers that never works has none
    workers.run(programs)
    own = set(threading.enumerate()) - before
    assert len(own) == 2
    if way == "end":
        workers.end()
    del workers
    gc.collect()
    for thread in own:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("worked", [True, False])
def test_workers_that_were_sent_away_do_not_hang(worked):
    workers, (programs, twins) = Workers(2), zip(*(stirring() for _ in range(2)), strict=True)
    if worked:
        workers.run(programs)
        for twin in twins:
            twin()
    workers.end()
    time.sleep(0.05)  # the threads leave
    within(5, lambda: workers.run(programs), workers)
    for twin in twins:
        twin()
    check_alike(programs, twins)


def lasting(seconds):
    """A program that works so long, and its twin."""
    program, _ = stirring(20000)
    began = time.perf_counter()
    program()
    return stirring(int(20000 * seconds / (time.perf_counter() - began)))


@pytest.mark.parametrize("own", [0.3, 0], ids=["at work", "waiting"])
@pytest.mark.often(1)
def test_an_interrupt_waits_for_the_other_threads_and_leaves_the_workers_usable(own):
    """Interrupted, the caller may drop the arrays: nobody may be at work on them any more."""
    workers, (programs, twins) = Workers(2), zip(lasting(own) if own else stirring(), lasting(0.6), strict=True)
    small, small_twins = zip(*(stirring() for _ in range(2)), strict=True)
    workers.run(small)
    timer = threading.Timer(0.1, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 (an interrupt that comes late is waited for)
        workers.run(programs)
        for _ in range(500):
            time.sleep(0.01)
    seen = programs[1].calls[0].given[1].copy()
    for _ in range(3):
        within(20, lambda: workers.run(small), workers)
    for twin in (*twins, *small_twins * 4):
        twin()
    check_alike(small, small_twins)
    np.testing.assert_array_equal(programs[1].calls[0].given[1], twins[1].calls[0].given[1])
    np.testing.assert_array_equal(seen, twins[1].calls[0].given[1], err_msg="the other thread was still at work")


@pytest.mark.parametrize("rung", [False, True], ids=["before", "after"])
def test_an_interrupt_while_threads_are_called_waits_for_those_that_were(rung, monkeypatch):
    """The first of two was called and is at work; the interrupt comes just before or after the second is."""
    workers, (programs, twins) = Workers(3), zip(stirring(), lasting(0.5), stirring(), strict=True)
    small, small_twins = zip(*(stirring() for _ in range(3)), strict=True)
    workers.run(small)
    known, called = vars(program_module.callers()), []

    def wake(*given):
        called.append(given)
        if rung or len(called) == 1:
            known["wake"](*given)
        if len(called) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(program_module, "callers", lambda: SimpleNamespace(**known | {"wake": wake}))
        with pytest.raises(KeyboardInterrupt):
            within(20, lambda: workers.run(programs), workers)
    seen = programs[1].calls[0].given[1].copy()
    for _ in range(3):
        within(20, lambda: workers.run(small), workers)
    for twin in (twins[1], *small_twins * 4):
        twin()
    check_alike(small, small_twins)
    np.testing.assert_array_equal(seen, twins[1].calls[0].given[1], err_msg="the other thread was still at work")


def test_threads_that_cannot_be_started_leave_workers_that_can_try_again(monkeypatch):
    workers, (programs, twins) = Workers(3), zip(*(stirring() for _ in range(3)), strict=True)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("no more threads")))
        with pytest.raises(RuntimeError, match="no more threads"):
            workers.run(programs)
    within(20, lambda: workers.run(programs), workers)
    for twin in twins:
        twin()
    check_alike(programs, twins)


class Witness:
    """A number that notes who adds to it."""

    def __init__(self, name, seen):
        self.name, self.seen = name, seen

    def __iadd__(self, other):
        self.seen.append((self.name, threading.current_thread()))
        return self


def test_programs_that_are_not_compiled_run_in_order_in_the_thread_that_calls():
    seen, before = [], set(threading.enumerate())
    (compiled,), (twin,) = ((each,) for each in stirring())
    plain = [
        Program([bind(refuse, "test", {"x": np.ones(2), "y": np.array([Witness(name, seen)] * 2, object)})])
        for name in "ab"
    ]
    Workers(3).run([plain[0], compiled, plain[1]])
    twin()
    check_alike([compiled], [twin])
    assert seen == [(name, threading.current_thread()) for name in "aabb"]
    assert not set(threading.enumerate()) - before  # none began; those of workers let go before may end meanwhile


def test_workers_serve_whichever_thread_calls():
    workers, (programs, twins) = Workers(2), zip(*(stirring(50) for _ in range(2)), strict=True)
    for turn in range(20):
        if turn % 2:
            workers.run(programs)
        else:
            within(20, lambda: workers.run(programs), workers)
        for twin in twins:
            twin()
    check_alike(programs, twins)


FORKED = """
import os
import signal
import warnings
import numpy as np
import plaingrad as pg

warnings.simplefilter("ignore")
images = np.random.default_rng(0).normal(size=(64, 4))
infer = pg.Inference(pg.Network(pg.Dense(3), input=(4,)), threads=2)
before = infer(images)
child = os.fork()
if not child:
    signal.alarm(10)
    os._exit(0 if (infer(images) == before).all() else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), (infer(images) == before).all())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_threads_of_its_own():
    """A fork leaves the threads behind. As in multiprocessing, which forks on Linux before Python 3.14."""
    assert python("-c", FORKED) == ["0", "True"]

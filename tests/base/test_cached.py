"""A property that is made when it is first read, by any number of threads at a time, and after a fork."""

from __future__ import annotations

import functools
import os
import signal
import threading

from kernalign._base.cached import cached_property


class Slow:
    def __init__(self, meet: threading.Barrier) -> None:
        self.meet, self.made = meet, 0

    @cached_property
    def value(self) -> int:
        """What it is."""
        self.meet.wait(60)
        self.made += 1
        return 7


def test_it_is_made_once_and_says_what_it_is() -> None:
    one = Slow(threading.Barrier(1))
    assert (one.value, one.value, one.made) == (7, 7, 1)
    assert isinstance(Slow.value, functools.cached_property)
    assert Slow.value.__doc__ == "What it is."


def test_threads_that_make_it_of_two_objects_do_not_wait_for_each_other() -> None:
    meet = threading.Barrier(2)  # which is passed by both or by none
    both = [Slow(meet), Slow(meet)]
    threads = [threading.Thread(target=lambda one=one: one.value) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.made for one in both] == [1, 1]


def test_a_process_that_is_forked_while_it_is_made_does_not_wait_for_ever() -> None:
    meet = threading.Barrier(2)
    thread = threading.Thread(target=lambda: Slow(meet).value)
    thread.start()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(Slow(threading.Barrier(1)).value)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    meet.wait()
    thread.join()

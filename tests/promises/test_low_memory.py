"""Little address space is a MemoryError, never the end of the process, and the next call is right."""

import os
import resource
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from processes import run
from public_calls import CALLS

MEBIBYTE = 1 << 20
ENDS = {0: "answer", 1: "MemoryError", 2: "another error", 3: "a wrong answer", 4: "the next call failed"}


def sides():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((700, 120))
    return x, x[:, :80] + rng.standard_normal((700, 80))


def limit(spare=None):
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = resource.RLIM_INFINITY if spare is None else size + int(spare * MEBIBYTE)
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def attempt(call, spare):
    """How a call ends that has so much address space to spare, and the next, which has enough."""
    x, y = sides()
    limit(spare)
    try:
        found = call(x, y)
    except MemoryError:
        found = None
    except Exception as error:
        limit()
        print(type(error), error, file=sys.stderr)
        return 2
    limit()
    try:
        again = call(x, y)
    except Exception as error:
        print(type(error), error, file=sys.stderr)
        return 4
    if found is None:
        return 1
    return 0 if all(np.allclose(found[name], again[name], 1e-9, equal_nan=True) for name in again) else 3


def in_a_child(call, spare):
    child = os.fork()
    if child == 0:
        code = 5
        try:
            signal.alarm(300)
            warnings.simplefilter("ignore")
            code = attempt(call, spare)
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return ENDS.get(code, f"the process ended with {code}")


@pytest.mark.parametrize("name", list(CALLS))
def test_a_call_with_little_memory(name):
    found = {spare: in_a_child(CALLS[name].run, spare) for spare in (0.5, 36)}
    assert set(found.values()) <= {"answer", "MemoryError"}, found


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CALLS))
def test_a_call_with_every_amount_of_memory(name):
    found = {spare: in_a_child(CALLS[name].run, spare) for spare in (*range(16), *range(16, 160, 4))}
    assert set(found.values()) <= {"answer", "MemoryError"}, found
    assert found[156] == "answer"


LIMIT = """
import resource
from pathlib import Path
def limit(spare):
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (spare << 20), resource.RLIM_INFINITY))
"""


def test_numpy_has_what_its_products_need():
    """Its BLAS maps a buffer at the first product, and would end the process if it could not."""
    run(LIMIT + "a, b = np.ones((2, 600, 600))\nlimit(2)\nnp.matmul(a, a, out=b)\nassert b[0, 0] == 600")


@pytest.mark.parametrize("call", ["ka.mutual_knn(x, y, threads={})", "ka.cka(x, y, kernel=ka.RBF(9.0), threads={})"])
def test_threads_that_cannot_start_are_done_without(call):
    """A thread's stack takes 8 MiB; there are 6 to spare."""
    run(
        LIMIT
        + f"""
resource.setrlimit(resource.RLIMIT_STACK, (8 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))
x, y = windows(900, 40, 1), windows(900, 30, 2)
before = float({call.format(1)})
limit(6)
assert float({call.format(8)}) == before
try:
    threading.Thread(target=print).start()
except RuntimeError:
    pass
else:
    raise SystemExit("a thread could start")
"""
    )

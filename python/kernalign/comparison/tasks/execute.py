"""Plans, tasks, merging and finishing for users, and what carries all of it out: here, in processes or on a cluster."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, TypeAlias

from kernalign import _core
from kernalign._base import checks
from kernalign._base.memory import budget_of
from kernalign._base.progress import ProgressArgument, reporting
from kernalign._base.score import Score
from kernalign._engines.states import Store
from kernalign.comparison.result import Comparison
from kernalign.comparison.tasks.ledger import Ledger
from kernalign.comparison.tasks.models import Models, make_models
from kernalign.comparison.tasks.parts import merge
from kernalign.comparison.tasks.pools import processes, windowed
from kernalign.comparison.tasks.streams import Stream, Task, make_stream

Plan: TypeAlias = Stream | Models
Result: TypeAlias = Score | dict[tuple[str, str], Score] | Comparison

_MOST_PROCESSES = 4096

__all__ = ["execute", "finish", "merge", "plan", "run_task"]


def plan(
    metric: Any,
    x: Any,
    y: Any = None,
    /,
    *,
    memory_budget: int | str | None = None,
    chunk: int | None = None,
    queries: int | None = None,
    **options: Any,
) -> Plan:
    """Work that can be done in parts, by `execute` or by whatever else calls `run_task`, `merge` and `finish`.

    Parameters
    ----------
    metric :
        a name: one metric of rows that are read a block at a time and need not fit in memory. Of ``cka``, ``hsic``,
        ``kernel_alignment``, ``procrustes``, ``nbs``, ``angular_distance``, ``cca`` and ``linear_predictivity`` a task
        is a block of rows, and the score that of `Moments`; of ``mutual_knn`` and the other metrics of lists it is a
        pair of blocks, or with ``queries`` a block, and the score that of the lists.
        Several names: a comparison, as `compare` makes it; a task is what one layer is turned into.
    x, y : for one metric, (n, p) and (n, q) rows: the path of a file (``"file"`` or ``"file:key"``), an array, or an
        object that ``kernalign.sources`` reads; or lists or dicts of such layers, all of whose pairs come from one pass
        over the rows (y None: pairs of x). For several metrics, ``xs`` and ``ys`` of `compare`. Files are passed to
        tasks by their paths, arrays by value, which other processes take up to 16 MB of each.
    memory_budget : most bytes that a process takes beside the interpreter, as a number or "8 GB", for one metric. The
        default is most of what is free, control groups included; what would not fit is refused before it is begun.
    chunk : rows of a block; None: as many as keep some workers busy within the budget. The same rows in the same
        blocks give the same bits, wherever and in whatever order the blocks were worked on.
    queries : of metrics of lists, the number of rows drawn by lot whose neighbours are found, as for `mutual_knn`
    **options : of the metric (``estimator``, ``statistic``, ``centred``; ``k``, ``metric``, ``ties``), or of `compare`

    Returns
    -------
    Plan
        a value that can be pickled; ``tasks`` lists its tasks, ``digest`` tells it apart from others, by the content of
        arrays, and of files by their size and the time of their last change.

    Raises
    ------
    TypeError, ValueError
        As the metric or `compare`; rows of one metric whose labels are in another order than those of x; more memory
        than the budget, with what would do.

    See Also
    --------
    execute : carries it out
    run_task, merge, finish : what execute is made of
    compare : the same at once

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((5000, 8))
    >>> y = x + rng.standard_normal(x.shape)
    >>> plan = ka.plan("cka", x, y, chunk=2000)
    >>> score = ka.execute(plan, progress=False)
    >>> round(score - ka.Moments().update(x, y).cka(), 12) == 0
    True
    """
    if isinstance(metric, str):
        return make_stream(metric, x, y, budget_of(memory_budget), chunk, queries, options)
    checks.check_unread(memory_budget=(memory_budget, None), chunk=(chunk, None), queries=(queries, None))
    return make_models(metric, x, y, options)


def run_task(plan: Plan, task: Task, threads: int | None = None) -> Store:
    """What one task makes: parts for `merge`. It depends on nothing but its arguments, and may be done again.

    See Also
    --------
    plan, merge, finish
    execute : does all of it

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((3000, 4))
    >>> plan = ka.plan("nbs", x, x[:, ::-1], chunk=1024)
    >>> parts = [ka.run_task(plan, task) for task in plan.tasks]  # anywhere, in any order
    >>> whole = parts[0]
    >>> for part in parts[1:]:
    ...     whole = ka.merge(whole, part)
    >>> round(ka.finish(plan, whole), 6)
    1.0
    """
    _check(plan)
    checks.check_type(task, "task", Task, "one of the plan's tasks")
    return plan.run(task, checks.check_threads(threads))


def finish(plan: Plan, parts: Store) -> Result:
    """The result of a plan from the merged parts of all its tasks: a `Score`, of several layers a dict of pairs of
    names and scores, of several metrics a `Comparison`.

    Raises
    ------
    ValueError
        Parts of one metric's rows are missing.

    See Also
    --------
    plan, run_task, merge

    Examples
    --------
    >>> import numpy as np
    >>> import kernalign as ka
    >>> x = np.random.default_rng(0).standard_normal((500, 4))
    >>> plan = ka.plan("cka", x, x**3)
    >>> (task,) = plan.tasks
    >>> score = ka.finish(plan, ka.run_task(plan, task))
    >>> score.metric, score.n
    ('cka', 500)
    """
    _check(plan)
    checks.check_type(parts, "parts", Store, "what tasks made")
    return plan.finish(parts)


def _check(plan: Any) -> None:
    checks.check_type(plan, "plan", (Stream, Models), "a plan")


def execute(
    plan: Plan,
    executor: Executor | int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: ProgressArgument = True,
) -> Result:
    """Carry out a plan.

    Parameters
    ----------
    executor : None: here, one task after the other. A number of processes of this machine, which share its cores. Or
        any ``concurrent.futures.Executor``: ``ProcessPoolExecutor`` (with the start method "spawn"), that of a Dask
        cluster, ``client.get_executor(retries=2)``, or of MPI, ``MPIPoolExecutor()``. At most four tasks for each
        worker are handed out at a time. A process that dies costs the tasks that were under way; a pool of processes
        is started again. Workers use ``KERNALIGN_NUM_THREADS`` threads if that is set, else all cores they may use.
    checkpoint : the path of a ledger, which holds what was finished, merged: written every second or less often, where
        writing takes long, whole or not at all. The same call after a crash does the tasks that it lacks.
    progress : of tasks, as for `cka`

    Returns
    -------
    The same as from `finish`: to the last bit what the tasks give one after the other here.

    Raises
    ------
    ValueError
        The checkpoint is damaged or belongs to another plan; it is left as it is. And what a task raises.

    See Also
    --------
    plan : makes a plan
    compare

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import kernalign as ka
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((3000, 4))
    >>> plan = ka.plan("cka", x, x + rng.standard_normal(x.shape), chunk=1024)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ledger = Path(folder) / "run.ledger"  # what is in it is not done again
    ...     first = ka.execute(plan, checkpoint=ledger, progress=False)
    ...     again = ka.execute(plan, checkpoint=ledger, progress=False)
    >>> first == again, round(first, 1)
    (True, 0.5)
    """
    _check(plan)
    if executor is not None and not isinstance(executor, Executor):
        wanted = "None, a number of processes or an Executor"
        executor = checks.integer(executor, "executor", 1, _MOST_PROCESSES, wanted=wanted)
    if checkpoint is not None:
        checks.check_path(checkpoint, "checkpoint")
    ledger = Ledger(checkpoint, plan.digest if checkpoint is not None else "")
    tasks = plan.tasks
    todo = [task for task in tasks if ledger.lacks(task)]
    with reporting(progress, "tasks") as report:
        done = len(tasks) - len(todo)
        try:
            for part in _parts(plan, todo, executor):
                ledger.take(part)
                done += 1
                if report is not None:
                    report(done, len(tasks))
        finally:
            ledger.flush()
    with ledger.blamed():
        return plan.finish(ledger.store)


def _parts(plan: Plan, todo: list[Task], executor: Executor | int | None) -> Iterator[Store]:
    """What the tasks make, as it comes."""
    if executor is None:
        for task in todo:
            yield plan.run(task, 0)
        return
    if isinstance(executor, Executor):
        sent: Any = plan if isinstance(executor, ThreadPoolExecutor) else pickle.dumps(plan)
        yield from windowed(executor, partial(_run_sent, sent), todo)
        return
    threads = max(1, int(_core.build_info()["threads"]) // executor)
    with processes(executor, _hold, pickle.dumps(plan)) as pool:
        yield from windowed(pool, partial(_run_held, threads), todo, own=True)


def _run_sent(sent: Any, task: Task) -> Store:
    plan: Plan = _received(sent) if isinstance(sent, bytes) else sent
    return plan.run(task, 0)


_held: list[bytes] = []  # the plan of this process, sent once: with every task, models in memory took most of the time


def _hold(sent: bytes) -> None:
    _held[:] = [sent]


def _run_held(threads: int, task: Task) -> Store:
    return _received(_held[0]).run(task, threads)


@lru_cache(maxsize=2)
def _received(sent: bytes) -> Plan:
    """The plan, whose files stay open from one task to the next."""
    found: Plan = pickle.loads(sent)  # what this program's own executor handed over
    return found

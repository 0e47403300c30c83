"""A comparison that keeps what was scored until it is interrupted."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from typing import Any

from kernalign._base.progress import ProgressArgument, reporting
from kernalign.comparison.compare import compare, finished, prepare
from kernalign.comparison.result import Comparison

INTERRUPTED = "interrupted"  # the reason of scores that were not made, and the name of their number in settings


def compare_until_interrupted(xs: Mapping[str, Any], progress: ProgressArgument, **options: Any) -> Comparison:
    """`compare`, but Ctrl-C ends it with the scores that there are, once there is one; its settings say so."""
    bound = inspect.signature(compare).bind(xs, None, **options)
    bound.apply_defaults()
    given = {name: value for name, value in bound.arguments.items() if name not in ("xs", "ys", "progress")}
    begun, (run, settings) = time.perf_counter(), prepare(xs, None, **given)
    try:
        with reporting(progress, "comparing") as report:
            run.work(report)
    except KeyboardInterrupt:
        if not run.scored:
            raise
        settings[INTERRUPTED] = run.stop(INTERRUPTED)
    return finished(run, settings, begun)

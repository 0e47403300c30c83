"""Whatever is given for any parameter of any public function or method: an answer, or an error that names it.

The functions, their parameters and values that they accept are found in the package (`public_arguments`), so that a new
one is tried without a word here.
"""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import kernalign as ka
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from public_arguments import Call, X, calls
from scipy import sparse


class NoArray:
    """Cannot be made an array."""

    def __array__(self, *how: Any, **options: Any) -> Any:
        raise RuntimeError("no array")


class Unlike:
    """Answers a comparison with an array, as arrays and tables do."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Any:
        return np.array([True, False])


ITSELF: list[Any] = []
ITSELF.append(ITSELF)
NONSENSE = {"object()": object(), "NoArray": NoArray(), "Ellipsis": ..., "slice": slice(None), "Unlike": Unlike()}
VALUES = NONSENSE | {
    "None": None,
    "text": "zzz",
    "nan": float("nan"),
    "-1": -1,
    "1.5": 1.5,
    "True": True,
    "10**5000": 10**5000,
    "timedelta64": np.timedelta64(1, "D"),
    "1-D": np.array([1, 2]),
    "(24, 3) nan": np.full((24, 3), np.nan),
    "sparse": sparse.csr_matrix(np.eye(24)),
    "masked": np.ma.masked_array(X, X > 1),
    "dict": {"a": 1},
    "ragged": [[1, 2], [3]],
    "NA": pd.NA,
    "empty text": "",
    "bytes": b"zz",
    "inf": float("inf"),
    "-inf": float("-inf"),
    "0": 0,
    "1": 1,
    "-0.5": -0.5,
    "False": False,
    "np.True_": np.True_,
    "2**31": 2**31,
    "2**70": 2**70,
    "-10**5000": -(10**5000),
    "complex": 1 + 2j,
    "complex64": np.complex64(1),
    "Decimal": Decimal("0.5"),
    "Decimal nan": Decimal("nan"),
    "Fraction": Fraction(1, 2),
    "float64 nan": np.float64("nan"),
    "0-D": np.array(3),
    "0-D float": np.array(0.5),
    "0-D text": np.array("a"),
    "0-D object": np.array(None),
    "1-D column": X[:, 0],
    "1-D text": np.array(["a", "b"]),
    "2-D": np.array([[1, 2], [3, 4]]),
    "3-D": np.zeros((2, 2, 2)),
    "matrix": np.eye(24).view(np.matrix),
    "empty": np.array([]),
    "(0, 3)": np.zeros((0, 3)),
    "(24, 0)": np.zeros((24, 0)),
    "objects": np.array([1, "a", None], dtype=object),
    "2-D objects": np.array([[1, None], [{}, "a"]], dtype=object),
    "structured": np.zeros(24, dtype=[("a", float)]),
    "dates": np.array(["2020-01-01"] * 24, dtype="M8[D]"),
    "[]": [],
    "()": (),
    "{}": {},
    "{1: 2}": {1: 2},
    "set": {1, 2},
    "[None]": [None],
    "['a']": ["a"],
    "nested": [[[1], [2]], [[3]]],
    "[{}]": [{}],
    "(1, 2)": (1, 2),
    "(None, None)": (None, None),
    "[Unlike]": [Unlike()],
    "function": lambda *given: None,
    "generator": (i for i in ()),
    "range": range(3),
    "NotImplemented": NotImplemented,
    "coo_array": sparse.coo_array(np.eye(24)),
    "datetime": datetime.datetime(2020, 1, 1),
    "NaT": np.datetime64("NaT"),
    "Series": pd.Series([1, 2]),
    "DataFrame of text": pd.DataFrame({"a": ["x"] * 24}),
    "memoryview": memoryview(b"abc"),
    "2-D memoryview": memoryview(np.arange(72.0).reshape(24, 3)),
    "NUL": "a\0b",
    "surrogate": "\ud800",
    "holds itself": ITSELF,
    "24 integers": list(range(24)),
    "24 texts": [str(i) for i in range(24)],
}
SAID = re.compile(
    r"k must be between|holds \d+ files|holds no file|zzz must end in"
    r"|needs at least \d+ |is not a \w+ file|must be a regular file|is too large"
)
UNREAD = {
    ("stitching.RelativeRepresentation.fit", "y"),  # as scikit-learn has it
    ("compat.platonic.remove_outliers", "max_threshold"),  # as platonic-rep has it
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Call]]:
    yield list(calls(tmp_path_factory.mktemp("files")))
    ka.set_threads(None)  # as it was before it was called


def fault(call: Call, name: str, kind: str, value: Any) -> str:
    """What is wrong with the outcome, if something is."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            call(call.accepted | {name: value})
        except (TypeError, ValueError) as error:
            names = [name] if kind in NONSENSE else list(call.accepted)
            named = any(re.search(rf"\b{one.removesuffix('s')}s?\b", str(error)) for one in names)
            said = named or SAID.search(str(error))
            outcome = "" if said and not isinstance(error, np.linalg.LinAlgError) else repr(error)
        except OSError:
            outcome = ""  # text is the path of a file
        except Exception as error:
            outcome = repr(error)
        else:
            plt.close("all")
            outcome = "accepted" if kind in NONSENSE and (call.label, name) not in UNREAD else ""
    ours = (ka.AlignmentWarning, ka.UndefinedScoreWarning)
    others = [str(one.message) for one in caught if not issubclass(one.category, ours) and name not in str(one.message)]
    return outcome or ", ".join(others)


def test_what_is_accepted_is_accepted(found):
    assert len(found) > 120
    for call in found:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call(call.accepted)


def test_wrong_arguments_are_named(found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where files called by odd names may be written
    tried = [(call, name, kind) for call in found for name in call.accepted for kind in VALUES]
    tried = [case for case in tried if (case[0].label, *case[1:]) != ("execute", "executor", "1")]  # starts a process
    outcomes = [(case, fault(*case, VALUES[case[2]])) for case in tried]
    faults = [f"{call.label}({name}={kind}): {what}" for (call, name, kind), what in outcomes if what]
    assert not faults, "\n".join(faults[:40])

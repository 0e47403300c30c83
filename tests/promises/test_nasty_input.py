"""Valid input of every awkward kind: a number in range, nan with a reason, or an error that names an argument."""

import re
import warnings

import kernalign as ka
import numpy as np
import pytest
from public_calls import CALLS

FORMS = {
    "plain": lambda a: a,
    "constant column": lambda a: np.where(np.arange(a.shape[1]) == 0, 3.7, a),
    "constant columns": lambda a: np.full_like(a, 0.1),
    "repeats": lambda a: a[np.arange(len(a)) % 2],
    "one huge row": lambda a: a * np.where(np.arange(len(a)) == 0, 1e8, 1)[:, None],
    "one row beyond": lambda a: a * np.where(np.arange(len(a)) == 0, 1e150, 1)[:, None],
    "mixed scales": lambda a: a * np.logspace(-12, 12, a.shape[1]),
    "extreme scales": lambda a: a * np.logspace(-200, 200, a.shape[1]),
    "negative strides": lambda a: a[::-1, ::-1],
    "Fortran order": np.asfortranarray,
    "float16": lambda a: a.astype(np.float16),
    "float32": lambda a: a.astype(np.float32),
    "int64": lambda a: (a * 2.0**60).astype(np.int64),
    "uint8": lambda a: np.abs(a * 3).astype(np.uint8),
    "bool": lambda a: a > 0,
    "big-endian": lambda a: a.astype(">f8"),
    "long double": lambda a: a.astype(np.longdouble),
    "read-only": lambda a: np.broadcast_to(a[:1], a.shape),
    "subnormal": lambda a: a * 1e-310,
    "tiny": lambda a: a * 1e-200,
    "large": lambda a: a * 1e200,
    "largest": lambda a: a / np.abs(a).max() * 1.7e308,
    "rank 1": lambda a: np.outer(a[:, 0], a[0]),
    "zeros": np.zeros_like,
    "offset": lambda a: a + 1e10,
    "nearly dead": lambda a: np.where(np.arange(a.shape[1]) == 0, 0.1 + 1e-17 * a, a),
    "one-hot": lambda a: np.eye(len(a))[:, : a.shape[1]],
}
RANGES = {
    "score": {
        r"(Moments\.)?(cka|kernel_alignment|one_to_one|distance_correlation|rsa)": (-1, 1),
        r"(Moments\.)?(s?v?cca|pwcca|nbs|subspace_overlap)|.*_knn.*|kernel_target_alignment": (0, 1),
        r"(Moments\.)?linear_predictivity": (-np.inf, 1),
        r"(Moments\.)?procrustes|soft_matching|distance_alignment": (0, np.inf),
        r"angular_distance": (0, np.pi / 2),
    },
    "p": {r".*": (0, 1)},
    "alignment": {r".*": (0, 1)},
}
ARGUMENT = re.compile(r"\b(x|y|targets|k|rank|rows|columns|first|labels|kernel)\b")
MAY_BE_INFINITE = {"learning_curve": "error"}  # at gamma = 1, as documented


@pytest.fixture
def memory_map(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).normal(size=(6, 4)))
    return np.load(path, mmap_mode="r")


def check(name, x, y):
    refused, numbers = None, {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            numbers = CALLS[name].run(x, y)
        except (ValueError, TypeError) as error:
            refused = error
    assert not isinstance(refused, np.linalg.LinAlgError)
    assert refused is None or ARGUMENT.search(str(refused)), refused
    others = [w for w in caught if not issubclass(w.category, ka.AlignmentWarning)]
    assert not others, others[0]
    said = any(issubclass(w.category, ka.UndefinedScoreWarning) for w in caught)
    for key, value in numbers.items():
        values = np.asarray(value, dtype=np.float64)
        assert MAY_BE_INFINITE.get(name) == key or not np.isinf(values).any(), key
        if name != "describe":  # whose nan is documented
            assert said or not np.isnan(values).any(), key
        for pattern, (low, high) in RANGES.get(key, {}).items():
            if re.match(pattern, name):
                assert not ((values < low) | (values > high)).any(), (key, values)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CALLS)
def test_awkward_input(name, form):
    rng = np.random.default_rng(1)
    for n, p, q in ((2, 1, 1), (3, 5, 7), (6, 30, 4), (6, 2, 2)):
        a, b = rng.normal(size=(n, p)), rng.normal(size=(n, q))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x, other = FORMS[form](a), FORMS[form](b)
        for y in (b, other, x):
            check(name, x, y)


@pytest.mark.parametrize("name", CALLS)
def test_memory_maps(name, memory_map):
    check(name, memory_map, memory_map[::-1])

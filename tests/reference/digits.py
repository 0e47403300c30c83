"""Scores of few rows in arithmetic of 60 digits, where float64 oracles would lose theirs."""

import mpmath as mp


def rows(x):
    return [[mp.mpf(float(value)) for value in row] for row in x]


def gram(x):
    return [[mp.fsum(a * b for a, b in zip(i, j, strict=True)) for j in x] for i in x]


def distances(x):
    return [[mp.sqrt(mp.fsum((a - b) ** 2 for a, b in zip(i, j, strict=True))) for j in x] for i in x]


def rbf(width):
    return lambda x: [[mp.exp(-((d / width) ** 2) / 2) for d in row] for row in distances(x)]


def hollow(k):
    return [[mp.mpf(0) if i == j else value for j, value in enumerate(row)] for i, row in enumerate(k)]


def centred(k):
    n, sums = len(k), [mp.fsum(row) for row in k]
    total = mp.fsum(sums)
    return [[value - (sums[i] + sums[j]) / n + total / n**2 for j, value in enumerate(row)] for i, row in enumerate(k)]


def u_centred(k):
    n, k = len(k), hollow(k)
    sums = [mp.fsum(row) for row in k]
    shift = mp.fsum(sums) / ((n - 1) * (n - 2))
    return hollow([[value - (sums[i] + sums[j]) / (n - 2) + shift for j, value in enumerate(k[i])] for i in range(n)])


def inner(a, b):
    return mp.fsum(s * t for u, v in zip(a, b, strict=True) for s, t in zip(u, v, strict=True))


def cosine(kernel, form):
    def score(x, y):
        a, b = (form(kernel(rows(side))) for side in (x, y))
        return float(inner(a, b) / mp.sqrt(inner(a, a) * inner(b, b)))

    return _precise(score)


def two_samples(kernel):
    """Unbiased MMD^2."""

    def score(x, y):
        n, m = len(x), len(y)
        k = hollow(kernel(rows(x) + rows(y)))
        weights = [1 / mp.mpf(n)] * n + [-1 / mp.mpf(m)] * m
        within = (mp.mpf(n) / (n - 1), mp.mpf(m) / (m - 1))
        return float(
            mp.fsum(
                weights[i] * weights[j] * k[i][j] * (within[i >= n] if (i < n) == (j < n) else 1)
                for i in range(n + m)
                for j in range(n + m)
            )
        )

    return _precise(score)


def hsic(x, y):
    a, b = (u_centred(gram(rows(side))) for side in (x, y))
    return float(inner(a, b) / (len(x) * (len(x) - 3)))


def _precise(score):
    def found(x, y):
        with mp.workdps(60):
            return score(x, y)

    return found


def less(kernel):
    return lambda x: [[-value for value in row] for row in kernel(x)]


CALLS = {
    "cka": cosine(gram, u_centred),
    "cka biased": cosine(gram, centred),
    "hsic": _precise(hsic),
    "kernel_alignment": cosine(gram, hollow),
    "distance_correlation": cosine(less(distances), u_centred),
    "cka rbf": cosine(rbf(mp.mpf(1.5)), u_centred),
    "mmd": two_samples(rbf(mp.mpf(1.5))),
    "energy_distance": two_samples(less(distances)),
}

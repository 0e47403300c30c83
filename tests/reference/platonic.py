"""platonic-rep's metrics in float64: dense, naive, written from a description of their behaviour."""

from __future__ import annotations

import numpy as np


def gram(x):
    x = np.asarray(x, dtype=np.float64)
    return x @ x.T


def neighbours(x, k):
    """The whole order of every row by inner product, the row itself filled with -1e8, cut to k."""
    similarity = gram(x)
    np.fill_diagonal(similarity, -1e8)
    return np.argsort(-similarity, axis=1, kind="stable")[:, :k]


def mutual_knn(x, y, topk):
    a, b = neighbours(x, topk), neighbours(y, topk)
    return np.mean([len(set(p) & set(q)) for p, q in zip(a, b, strict=True)]) / a.shape[1]


def knn_accuracy(blocks):
    return np.mean([i in block for i, block in enumerate(blocks)])


def cycle_knn(x, y, topk):
    return knn_accuracy(neighbours(x, topk)[neighbours(y, topk)])


def common_subsequence(p, q):
    table = np.zeros((len(p) + 1, len(q) + 1), dtype=int)
    for i, u in enumerate(p, 1):
        for j, v in enumerate(q, 1):
            table[i, j] = table[i - 1, j - 1] + 1 if u == v else max(table[i - 1, j], table[i, j - 1])
    return table[-1, -1]


def lcs_knn(x, y, topk):
    pairs = zip(neighbours(x, topk), neighbours(y, topk), strict=True)
    return np.mean([common_subsequence(p, q) for p, q in pairs])


def levenshtein(p, q):
    table = np.zeros((len(p) + 1, len(q) + 1), dtype=int)
    table[:, 0], table[0] = np.arange(len(p) + 1), np.arange(len(q) + 1)
    for i, u in enumerate(p, 1):
        for j, v in enumerate(q, 1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (u != v))
    return table[-1, -1]


def edit_distance_knn(x, y, topk):
    a, b = neighbours(x, topk), neighbours(y, topk)
    return 1 - np.mean([levenshtein(p, q) for p, q in zip(a, b, strict=True)]) / a.shape[1]


def hsic_biased(k, m):
    n = len(k)
    h = np.eye(n) - 1 / n
    return np.trace(k @ h @ m @ h)


def hsic_unbiased(k, m):
    n = len(k)
    k, m = k * (1 - np.eye(n)), m * (1 - np.eye(n))
    inner = (k * m.T).sum() + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 * (k @ m).sum() / (n - 2)
    return inner / (n * (n - 3))


def normalised(similarity, k, m, eps=1e-6):
    with np.errstate(invalid="ignore"):
        return similarity(k, m) / (np.sqrt(similarity(k, k) * similarity(m, m)) + eps)


def rbf(x, sigma):
    x = np.asarray(x, dtype=np.float64)
    return np.exp(-np.array([((x - row) ** 2).sum(axis=1) for row in x]) / (2 * sigma**2))


def cka(x, y, kernel_metric="ip", rbf_sigma=1.0, unbiased=False, eps=1e-6):
    k, m = (gram(v) if kernel_metric == "ip" else rbf(v, rbf_sigma) for v in (x, y))
    return normalised(hsic_unbiased if unbiased else hsic_biased, k, m, eps)


def unbiased_cka(x, y, **kwargs):
    return cka(x, y, unbiased=True, **kwargs)


def largest_entries(kernel, k, unbiased):
    """Mask of the k largest entries of every row; if unbiased the diagonal is -inf."""
    kernel = kernel.copy()
    if unbiased:
        np.fill_diagonal(kernel, -np.inf)
    mask = np.zeros_like(kernel)
    np.put_along_axis(mask, np.argsort(-kernel, axis=1, kind="stable")[:, :k], 1.0, axis=1)
    return mask


def cknna(x, y, topk, distance_agnostic=False, unbiased=True, eps=1e-6):
    def similarity(k, m):
        mask = largest_entries(k, topk, unbiased) * largest_entries(m, topk, unbiased)
        if distance_agnostic:
            return mask.sum()
        return (hsic_unbiased if unbiased else hsic_biased)(mask * k, mask * m)

    return normalised(similarity, gram(x), gram(y), eps)


def svcca(x, y, cca_dim=10):
    """Deterministic limit: canonical correlations of the exact leading left singular vectors."""
    sides = []
    for side in (x, y):
        side = np.asarray(side, dtype=np.float64)
        side = (side - side.mean(axis=0)) / (side.std(axis=0, ddof=1) + 1e-8)
        sides.append(np.linalg.svd(side)[0][:, :cca_dim])
    return np.linalg.svd(sides[0].T @ sides[1], compute_uv=False).mean()


METRICS = {
    "cycle_knn": cycle_knn,
    "mutual_knn": mutual_knn,
    "lcs_knn": lcs_knn,
    "cka": cka,
    "unbiased_cka": unbiased_cka,
    "cknna": cknna,
    "svcca": svcca,
    "edit_distance_knn": edit_distance_knn,
}


def measure(name, x, y, topk):
    return METRICS[name](x, y, topk) if "knn" in name else METRICS[name](x, y)


def threshold(values, q, exact):
    size = np.abs(np.asarray(values, dtype=np.float64))
    if exact:
        return np.sort(size.ravel())[int(q * size.size)]
    return np.mean([np.quantile(item.ravel(), q) for item in size])


def unit_rows(x):
    x = np.asarray(x, dtype=np.float64)
    return x / np.maximum(np.sqrt((x**2).sum(axis=1, keepdims=True)), 1e-12)


def compute_score(x_layers, y_layers, metric, topk=10, normalize=True):
    best, at = 0, None
    for i, a in enumerate(x_layers):
        for j, b in enumerate(y_layers):
            score = measure(metric, *((unit_rows(a), unit_rows(b)) if normalize else (a, b)), topk)
            if score > best:
                best, at = score, (i, j)
    return best, at

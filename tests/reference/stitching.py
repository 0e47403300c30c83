"""Readable definitions of the stitching solvers and risks, by whole matrices, explicit deletions and brute force."""

import numpy as np
from scipy.linalg import orthogonal_procrustes

from reference.folds import fold_numbers


def longdouble_least_squares(x, y, intercept=True):
    """Coefficients (p, q) and mean squared residual by Gram-Schmidt, done twice, in extended precision."""
    a, b = np.asarray(x).astype(np.longdouble), np.asarray(y).astype(np.longdouble)
    if intercept:
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    n, p = a.shape
    q, r = np.zeros_like(a), np.zeros((p, p), np.longdouble)
    for j in range(p):
        v = a[:, j].copy()
        for _ in range(2):
            along = q[:, :j].T @ v
            v -= q[:, :j] @ along
            r[:j, j] += along
        r[j, j] = np.sqrt(v @ v)
        q[:, j] = v / r[j, j]
    coef, target = np.zeros((p, b.shape[1]), np.longdouble), q.T @ b
    for j in range(p - 1, -1, -1):
        coef[j] = (target[j] - r[j, j + 1 :] @ coef[j + 1 :]) / r[j, j]
    return coef, float(((b - a @ coef) ** 2).sum() / n)


def least_squares(x, y, intercept=True):
    """Least-norm coefficients (p, q), intercept (q,) and fitted values, by the pseudoinverse."""
    mean_x = x.mean(axis=0) if intercept else np.zeros(x.shape[1])
    mean_y = y.mean(axis=0) if intercept else np.zeros(y.shape[1])
    coef = np.linalg.pinv(x - mean_x) @ (y - mean_y)
    return coef, mean_y - mean_x @ coef, (x - mean_x) @ coef + mean_y


def ridge(x, y, alpha):
    """Coefficients and intercept of |x S + b - y|^2 + alpha |S|^2 by the normal equations themselves."""
    xc, yc = x - x.mean(axis=0), y - y.mean(axis=0)
    coef = np.linalg.solve(xc.T @ xc + alpha * np.eye(x.shape[1]), xc.T @ yc)
    return coef, y.mean(axis=0) - x.mean(axis=0) @ coef


def ridge_left_out(x, y, alpha):
    """Mean squared error per output of predicting each item from a fit without it."""
    errors = []
    for i in range(len(x)):
        coef, intercept = ridge(np.delete(x, i, 0), np.delete(y, i, 0), alpha)
        errors.append((x[i] @ coef + intercept - y[i]) ** 2)
    return np.mean(errors, axis=0)


def ridge_gcv(x, y, alpha):
    """(RSS / n) / (1 - tr(hat) / n)^2 per output, with the n x n hat matrix; the intercept is a degree of freedom."""
    n, xc = len(x), x - x.mean(axis=0)
    hat = xc @ np.linalg.solve(xc.T @ xc + alpha * np.eye(x.shape[1]), xc.T) + 1 / n
    return ((y - hat @ y) ** 2).mean(axis=0) / (1 - np.trace(hat) / n) ** 2


def kare(x, y, alpha):
    """Science 2.9 on the centred kernel with lambda = alpha / n; the mean's direction left out of both sums."""
    n = len(x)
    basis = np.linalg.svd(np.ones((1, n)))[2][1:].T  # orthonormal, orthogonal to the constant
    xc, yc = basis.T @ x, basis.T @ y
    inverse = np.linalg.inv(xc @ xc.T / n + alpha / n * np.eye(n - 1))
    return (yc * (inverse @ inverse @ yc)).sum(axis=0) / n / (np.trace(inverse) / n) ** 2


def procrustes(x, y, scale):
    """Scale and orthogonal map of the wider width, both sides centred and filled with zero columns."""
    width = max(x.shape[1], y.shape[1])
    xc, yc = (np.pad(z - z.mean(axis=0), ((0, 0), (0, width - z.shape[1]))) for z in (x, y))
    q, nuclear = orthogonal_procrustes(xc, yc)
    return (nuclear / (xc**2).sum() if scale else 1.0), q, xc, yc


def kabsch_rotation(x, y):
    """The textbook rotation of centred square data."""
    u, _, vt = np.linalg.svd((x - x.mean(axis=0)).T @ (y - y.mean(axis=0)))
    flip = np.ones(len(u))
    flip[-1] = np.sign(np.linalg.det(u @ vt))
    return u * flip @ vt


def low_rank(x, y, rank):
    """Reduced-rank regression by its definition: project the fitted values on their top right singular vectors."""
    coef, _, fitted = least_squares(x, y)
    directions = np.linalg.svd(fitted - y.mean(axis=0), full_matrices=False)[2][:rank].T
    return coef @ directions @ directions.T


def relative(x, anchors, centre=False):
    mean = anchors.mean(axis=0) if centre else 0
    return np.array(
        [[(r - mean) @ (a - mean) / np.linalg.norm(r - mean) / np.linalg.norm(a - mean) for a in anchors] for r in x]
    )


def risk(outputs, targets):
    """Mean over items of the squared error, summed over outputs."""
    return float(((outputs - targets) ** 2).sum() / len(targets))


def misalignment(f1, f2):
    """tr S22 - tr(S21 S11^+ S12), erratum E5."""
    n = len(f1)
    s11, s12, s22 = f1.T @ f1 / n, f1.T @ f2 / n, f2.T @ f2 / n
    return float(np.trace(s22) - np.trace(s12.T @ np.linalg.pinv(s11) @ s12))


def spectral_misalignment(f1, f2):
    """|I|^2_eta2 - |Phi12|^2_eta2, and the published |I|_eta2 - |Phi12|^2_eta2 whose first norm lacks its square."""
    u1 = np.linalg.svd(f1, full_matrices=False)[0]
    u2, s2, _ = np.linalg.svd(f2, full_matrices=False)
    eta = s2**2 / len(f2)
    overlap = float((eta * (u1.T @ u2) ** 2).sum())
    return float(eta.sum()) - overlap, float(np.sqrt(eta.sum())) - overlap


def best_stitched_risk(f1, weight, targets):
    """The least of |W S f1 - y|^2 over all S, as one least-squares problem in the entries of S."""
    design = np.kron(f1, weight)  # row (i, output), column (d1, d2): d h_i / d S'
    solution = np.linalg.lstsq(design, targets.ravel(), rcond=None)[0]
    return risk((design @ solution).reshape(targets.shape), targets)


def own_risk(f1, targets):
    """R1(H1): the least over all linear heads on f1."""
    return risk(least_squares(f1, targets, intercept=False)[2], targets)


def lemma_gap(f1, weight, targets):
    """tr[(I - P) B' S11 B (I - P)], P on the range of the head (d, d2), B least squares of the targets on f1."""
    coef = least_squares(f1, targets, intercept=False)[0]
    rest = np.eye(len(weight)) - weight @ np.linalg.pinv(weight)
    return float(np.trace(rest @ coef.T @ (f1.T @ f1 / len(f1)) @ coef @ rest))


def left_out_misalignment(f1, f2, folds):
    """Mean squared error of predicting f2 from f1 by fits that leave out a fold."""
    numbers, error = fold_numbers(len(f1), folds), 0.0
    for fold in range(folds):
        out = numbers == fold
        coef = least_squares(f1[~out], f2[~out], intercept=False)[0]
        error += ((f1[out] @ coef - f2[out]) ** 2).sum()
    return error / len(f1)

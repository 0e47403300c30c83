"""cka_loss: one minus linear CKA as a torch function with gradients."""

from __future__ import annotations

import torch

from kernalign._base.checks import shown


def cka_loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """1 - unbiased linear CKA of a batch, differentiable in both sides: 0 where they are alike up to a rotation.

    Parameters
    ----------
    x, y : (n, p) and (n, q) floating-point tensors, paired by row, n >= 4, on one device.

    Returns
    -------
    0-d tensor in [0, 2]; nan where one side is constant; float32 of 16-bit tensors, under autocast too.

    Raises
    ------
    TypeError
        For what is no floating-point tensor.
    ValueError
        For tensors that are not 2-D, differ in rows, or have fewer than four.

    See Also
    --------
    kernalign.cka : the number, with its chance level and error, in any precision.
    kernalign.compat.torchmetrics.Similarity : over all batches of a run; without gradients.

    Notes
    -----
    The formula of :func:`kernalign.cka` (Song et al. 2012) in the tensors' own dtype, 16-bit ones in float32, over the
    n x n Gram matrices of the batch: O(n^2 (p + q)) time, 8 n^2 numbers. The unbiased estimator matters here: the
    biased one of n items and p > n features is near 1 for any data, and hardly moves.

    Examples
    --------
    >>> import torch
    >>> from kernalign.compat.losses import cka_loss
    >>> x = torch.randn(32, 8, dtype=torch.float64, requires_grad=True)
    >>> cka_loss(x, x.detach()).backward()
    >>> bool(x.grad.abs().max() < 1e-12)
    True
    """
    for name, rows in (("x", x), ("y", y)):
        if not (isinstance(rows, torch.Tensor) and rows.is_floating_point()):
            raise TypeError(f"{name} must be a floating-point tensor, got {shown(rows)}")
        if rows.ndim != 2:
            raise ValueError(f"{name} must be 2-D (items, features), got shape {tuple(rows.shape)}")
    if len(x) != len(y):
        raise ValueError(f"x and y must have the same number of rows, got {len(x)} and {len(y)}")
    if len(x) < 4:
        raise ValueError(f"cka_loss needs at least 4 rows, got {len(x)}")
    with torch.autocast(x.device.type, enabled=False):  # squares of products overflow 16 bits, and the loss would be 1
        k, l = (_u_centred(rows - rows.mean(dim=0)) for rows in map(_wide, (x, y)))  # noqa: E741
        return 1 - (k * l).sum() / ((k * k).sum().sqrt() * (l * l).sum().sqrt())


def _wide(rows: torch.Tensor) -> torch.Tensor:
    return rows.float() if rows.dtype in (torch.float16, torch.bfloat16) else rows


def _u_centred(rows: torch.Tensor) -> torch.Tensor:
    """The Gram matrix with the diagonal left out, centred so that every row sums to 0."""
    n = len(rows)
    gram = rows @ rows.T
    gram = gram - torch.diag(gram.diagonal())
    sums = gram.sum(dim=0) / (n - 2)
    gram = gram - sums[:, None] - sums[None, :] + sums.sum() / (n - 1)
    return gram - torch.diag(gram.diagonal())

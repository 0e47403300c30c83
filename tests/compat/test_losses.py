"""cka_loss is one minus the number that the engines find, and its gradient is right."""

from __future__ import annotations

import kernalign as ka
import pytest

torch = pytest.importorskip("torch")

from kernalign.compat.losses import cka_loss  # noqa: E402


def sides(n: int = 12, p: int = 5, q: int = 3):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, p, dtype=torch.float64, generator=generator)
    return x.requires_grad_(), (x[:, :q].detach() ** 2 + torch.randn(n, q, dtype=torch.float64, generator=generator))


def test_the_value_is_that_of_the_engines() -> None:
    for n, p, q in ((12, 5, 3), (4, 2, 2), (9, 40, 30)):
        x, y = sides(n, p, min(p, q))
        assert 1 - cka_loss(x + 100, y).item() == pytest.approx(float(ka.cka(x + 100, y)), abs=1e-11)


def test_the_gradient_of_both_sides() -> None:
    x, y = sides()
    assert torch.autograd.gradcheck(cka_loss, (x, y.requires_grad_()))


def test_descent_brings_a_map_to_the_target() -> None:
    x = sides(40)[0]
    y = x.detach()[:, :3]
    weights = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    steps = torch.optim.Adam([weights], lr=0.05)
    before = cka_loss(x.detach() @ weights, y).item()
    for _ in range(60):
        steps.zero_grad()
        cka_loss(x.detach() @ weights, y).backward()
        steps.step()
    assert cka_loss(x.detach() @ weights, y).item() < before - 0.2


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_does_not_overflow(dtype: str) -> None:
    x, y = (side.detach().to(getattr(torch, dtype)) for side in sides(60, 20, 20))
    expected = 1 - float(ka.cka(x.double().numpy(), y.double().numpy()))
    assert cka_loss(x, y).item() == pytest.approx(expected, abs=1e-4)
    with torch.autocast("cpu", dtype=getattr(torch, dtype)):
        assert cka_loss(x.float(), y.float()).item() == pytest.approx(expected, abs=1e-4)
    assert cka_loss(1e6 * x.float(), 1e6 * y.float()).item() == pytest.approx(expected, abs=1e-4)


def test_undefined_and_refused() -> None:
    x, y = sides()
    assert torch.isnan(cka_loss(x, torch.ones_like(y)))
    for bad, words in (((x[:3], y[:3]), "at least 4 rows"), ((x, y[1:]), "same number"), ((x[0], y), "x must be 2-D")):
        with pytest.raises(ValueError, match=words):
            cka_loss(*bad)
    with pytest.raises(TypeError, match="y must be a floating-point tensor, got"):
        cka_loss(x, y.numpy())

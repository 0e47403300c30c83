"""The cost model of linear kernels: less work never costs more, and a pair that is alone keeps its own route."""

import itertools

import pytest
from kernalign._engines import costs

ROWS = (10, 60, 129, 300, 1000, 2000, 5000, 20_000)
WIDTHS = (1, 16, 64, 256, 768, 3000)


def chosen(n, widths, models=1):
    return costs.choose(n, tuple(widths), tuple(at % models for at in range(len(widths))))


@pytest.mark.parametrize("count", [2, 3, 12, 48])
def test_less_never_costs_more(count):
    """Fewer rows, narrower layers, and fewer of them."""
    for models in {1, 2, count}:
        for n, width in itertools.product(ROWS, WIDTHS):
            cost = chosen(n, [width] * count, models).cost
            assert chosen(n // 2 + 1, [width] * count, models).cost <= cost
            assert chosen(n, [width // 2 + 1] + [width] * (count - 1), models).cost <= cost
            assert chosen(n, [width // 2 + 1] * count, models).cost <= cost
            if count > 2:
                assert chosen(n, [width] * (count - 1), min(models, count - 1)).cost <= cost


def test_one_pair_goes_the_way_of_the_one_pair_call():
    for n, p, q in itertools.product(ROWS, WIDTHS, WIDTHS):
        assert set(chosen(n, (p, q), 2).swept) == {not costs.uses_features(n, p, q)}


def test_many_narrow_layers_share_one_sweep_and_a_few_of_many_rows_do_not():
    assert all(chosen(400, [96] * 144, 12).swept)
    assert all(chosen(2000, [512] * 48, 4).swept)
    assert not any(chosen(20_000, [16] * 4, 4).swept)
    assert not any(costs.choose(400, (96,) * 144, tuple(range(144)), joint=False).swept)

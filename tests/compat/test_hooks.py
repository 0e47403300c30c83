"""FeatureTap hears what modules put out, of every kind of output, holds no gradient and leaves no hook."""

from __future__ import annotations

from collections import OrderedDict

import kernalign as ka
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kernalign.compat.hooks import FeatureTap  # noqa: E402

ITEMS = 10


class Output(OrderedDict):
    """As a ModelOutput of transformers: a dict whose values are also its entries."""


class Block(torch.nn.Module):
    """Puts its input out in a shape and a kind of container that models use."""

    def __init__(self, kind: str, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.inner, self.kind, self.shape = torch.nn.Linear(4, int(np.prod(shape))), kind, shape

    def forward(self, x):
        made = self.inner(x).reshape(len(x), *self.shape)
        if self.kind == "tuple":
            return (made, torch.ones(1))
        if self.kind == "list":
            return [None, made]
        if self.kind == "output":
            return Output(logits=torch.ones(len(x), 2), last_hidden_state=made)
        return Output(pooled=None, hidden=made) if self.kind == "dict" else made


def rows(seed: int = 0):
    return torch.randn(ITEMS, 4, generator=torch.Generator().manual_seed(seed))


def hooks_of(model) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


@pytest.mark.parametrize("kind", ["tensor", "tuple", "list", "output", "dict"])
@pytest.mark.parametrize(
    "shape, pool, expected",
    [
        ((6,), None, lambda made: made),
        ((6,), "mean", lambda made: made),
        ((5, 6), "mean", lambda made: made.mean(axis=1)),
        ((5, 6), "first", lambda made: made[:, 0]),
        ((5, 6), "flatten", lambda made: made.reshape(ITEMS, 30)),
        ((3, 2, 2), "mean", lambda made: made.mean(axis=(2, 3))),
        ((3, 2, 2), "first", lambda made: made[:, :, 0, 0]),
        ((3, 2, 2), "flatten", lambda made: made.reshape(ITEMS, 12)),
        ((5, 6), lambda made: made[:, -1], lambda made: made[:, -1]),
    ],
)
def test_every_kind_of_output(kind, shape, pool, expected) -> None:
    model = torch.nn.Sequential(OrderedDict(block=Block(kind, shape)))
    with FeatureTap(model, "block", pool=pool) as tap:
        model(rows())
        found = tap["block"]
    assert not found.requires_grad
    made = model.block.inner(rows()).detach().numpy().reshape(ITEMS, *shape)
    np.testing.assert_allclose(found.numpy(), expected(made), atol=1e-6)


def small():
    layers = OrderedDict(first=torch.nn.Linear(4, 5), act=torch.nn.ReLU(), last=torch.nn.Linear(5, 3))
    return torch.nn.Sequential(layers)


def test_two_models_feed_moments_of_all_pairs() -> None:
    torch.manual_seed(0)
    one, other, moments = small(), small(), {}
    with FeatureTap(one, ["first", "last"]) as x, FeatureTap(other, "last") as y:
        for seed in range(3):
            one(rows(seed)), other(rows(seed))
            x.update(moments, y)
    assert list(moments) == [("first", "last"), ("last", "last")]
    whole = torch.cat([rows(seed) for seed in range(3)])
    expected = ka.cka(one.first(whole), other(whole))
    assert float(moments["first", "last"].cka()) == pytest.approx(float(expected), abs=1e-6)


def test_no_batch_is_counted_twice_and_none_is_missed() -> None:
    model, moments = small(), {}
    with FeatureTap(model, ["first", "last"]) as tap:
        with pytest.raises(KeyError, match="'first' put nothing out yet: run the model inside"):
            tap.update(moments)
        model(rows())
        tap.update(moments)
        with pytest.raises(KeyError, match="put nothing out yet"):
            tap.update(moments)
        with pytest.raises(KeyError, match="the tap has no layer 'act'; it has 'first', 'last'"):
            tap["act"]
    assert {pair: one.n for pair, one in moments.items()} == {
        ("first", "first"): ITEMS,
        ("first", "last"): ITEMS,
        ("last", "last"): ITEMS,
    }


def test_hooks_are_gone_however_it_ends() -> None:
    model = torch.nn.Sequential(Block("tensor", (5, 6)))
    with pytest.raises(ValueError, match=r"layer '0' must be 2-D, or pool= must say .* it has shape \(10, 5, 6\)"):  # noqa: SIM117
        with FeatureTap(model, "0"):
            assert hooks_of(model) == 1
            model(rows())
    assert hooks_of(model) == 0
    model(rows())
    with FeatureTap(model, "0", pool="mean"), pytest.raises(ZeroDivisionError):
        raise ZeroDivisionError
    assert hooks_of(model) == 0

    class Stubborn(torch.nn.Module):
        def register_forward_hook(self, hook, **how):
            raise RuntimeError("no")

    mixed = torch.nn.Sequential(torch.nn.Linear(4, 4), Stubborn())
    with pytest.raises(RuntimeError, match="no"), FeatureTap(mixed, "*"):
        pass
    assert hooks_of(mixed) == 0


def test_names_and_stars() -> None:
    model = torch.nn.Sequential(OrderedDict(blocks=torch.nn.Sequential(small(), small()), head=torch.nn.Linear(3, 2)))
    assert list(FeatureTap(model, ["head", "blocks.*"])) == ["blocks.0", "blocks.1", "head"]
    assert list(FeatureTap(model, "blocks.*.last")) == ["blocks.0.last", "blocks.1.last"]
    assert list(FeatureTap(model, "")) == [""]
    with pytest.raises(ValueError, match="the model has no module 'Head'; did you mean 'head'"):
        FeatureTap(model, "Head")


def test_what_cannot_be_heard() -> None:
    class Odd(torch.nn.Module):
        def forward(self, x):
            return "words"

    with pytest.raises(ValueError, match="must put out a tensor, or a tuple or dict of one, got <class 'str'>"):  # noqa: SIM117
        with FeatureTap(Odd(), "") as tap:
            tap._modules[""](rows())
    with pytest.raises(ValueError, match="pool must be None, 'mean', 'flatten' or 'first', got 'max'"):
        FeatureTap(small(), "first", pool="max")
    model = torch.nn.Sequential(Block("tensor", (5, 6)))
    with pytest.raises(ValueError, match=r"pool must return \(items, features\), got shape \(10,\)"):  # noqa: SIM117
        with FeatureTap(model, "0", pool=lambda made: made.mean(dim=(1, 2))):
            model(rows())
    deep = torch.nn.Sequential(Block("tensor", (2, 2, 2, 2)))
    with pytest.raises(ValueError, match=r"must be 2-D to 4-D; it has shape \(10, 2, 2, 2, 2\)"):  # noqa: SIM117
        with FeatureTap(deep, "0", pool="mean"):
            deep(rows())


def test_half_precision_and_evaluation_without_gradients() -> None:
    model, moments = small().to(torch.bfloat16), {}
    with torch.no_grad(), FeatureTap(model, "last") as tap:
        model(rows().to(torch.bfloat16))
        assert tap["last"].dtype == torch.bfloat16
        tap.update(moments)
    assert moments["last", "last"].n == ITEMS


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_models_of_transformers_and_timm() -> None:
    """Small models with random weights, built from a configuration: nothing is fetched."""
    transformers, timm = pytest.importorskip("transformers"), pytest.importorskip("timm")
    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, vocab_size=50
    )
    bert, moments = transformers.BertModel(config).eval(), {}
    vit = timm.create_model("vit_tiny_patch16_224", pretrained=False, depth=2).eval()
    net = timm.create_model("resnet18", pretrained=False).eval()
    words, pictures = torch.randint(0, 50, (8, 7)), torch.randn(8, 3, 224, 224)
    with (
        torch.no_grad(),
        FeatureTap(bert, ["", "encoder.layer.*"], pool="mean") as texts,
        FeatureTap(vit, "blocks.*", pool="first") as patches,
        FeatureTap(net, "layer*", pool="mean") as maps,
    ):
        bert(words), vit(pictures), net(pictures)
        assert [tuple(found.shape) for found in texts.values()] == [(8, 16)] * 3
        assert [tuple(found.shape) for found in patches.values()] == [(8, 192)] * 2
        assert [tuple(found.shape) for found in maps.values()] == [(8, 64), (8, 128), (8, 256), (8, 512)]
        np.testing.assert_allclose(texts[""], bert(words).last_hidden_state.mean(dim=1), atol=1e-5)
        texts.update(moments, patches)
    assert len(moments) == 6
    assert all(found.n == 8 for found in moments.values())

"""Metrics inside a training loop
=================================

Two networks that differ in their seed alone learn the same task. After every epoch, how alike are their hidden layers?
``Moments`` takes batch after batch, so that no epoch's activations are ever held; how it was cut does not
matter.
"""

import kernalign as ka
import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
inputs = rng.standard_normal((2048, 10))
targets = np.sin(inputs[:, :2] @ np.array([[2.0], [1.0]]))


class Network:
    """A hidden layer of tanh, by hand."""

    def __init__(self, seed: int) -> None:
        own = np.random.default_rng(seed)
        self.first, self.second = own.standard_normal((10, 64)) / 20, own.standard_normal((64, 1)) / 8

    def hidden(self, batch: np.ndarray) -> np.ndarray:
        return np.tanh(batch @ self.first)

    def step(self, batch: np.ndarray, wanted: np.ndarray, rate: float = 0.5) -> float:
        hidden = self.hidden(batch)
        error = hidden @ self.second - wanted
        back = (error @ self.second.T) * (1 - hidden**2)
        self.second -= rate * hidden.T @ error / len(batch)
        self.first -= rate * batch.T @ back / len(batch)
        return float((error**2).mean())


one, two = Network(1), Network(2)
losses, scores, to_start = [], [], []
start = one.hidden(inputs)
for _epoch in range(60):
    seeds, drift = ka.Moments(), ka.Moments()
    loss = 0.0
    for first in range(0, 2048, 128):
        part = slice(first, first + 128)
        loss += one.step(inputs[part], targets[part]) / 16
        two.step(inputs[part], targets[part])
        seeds.update(one.hidden(inputs[part]), two.hidden(inputs[part]))
        drift.update(one.hidden(inputs[part]), start[part])
    losses.append(loss)
    scores.append(seeds.cka())
    to_start.append(drift.cka())

_, axes = plt.subplots(figsize=(6, 4))
axes.plot(losses, "k:", label="loss")
axes.plot(scores, label="CKA between the seeds")
axes.plot(to_start, label="CKA with the untrained layer")
axes.set(xlabel="epoch", ylim=(0, 1.05))
axes.legend()
plt.show()

# %%
# In PyTorch the loop is the same: ``moments.update`` takes tensors (detach them). Several processes fill one each, and
# ``merge`` joins them; :doc:`/other_libraries` has a metric of torchmetrics and hooks that do all of it.

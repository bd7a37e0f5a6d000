"""HGQ2 on jax, in a Python of its own: layers, quantizers and loss as in its example of the same network.

``FIXED=1`` is the published recipe: the example's constant step size and batch, and the range of betas of HGQ's jets
(arXiv 2405.00645). Otherwise a batch of 1024 and a cosine that starts anew. Beta rises evenly on a logarithmic scale of
the clock. Compilation is not counted.
"""

import os
import sys
from math import cos, pi
from time import monotonic

os.environ.update(KERAS_BACKEND="jax", JAX_PLATFORMS="cpu", TF_CPP_MIN_LOG_LEVEL="3")

import keras
import numpy as np
from alkaid.converter import trace_model
from alkaid.trace import HWConfig, trace
from fronts import Given, Made, finish, judged, spread
from hgq.config import QuantizerConfig, QuantizerConfigScope
from hgq.layers import QDense
from hgq.regularizers import MonoL1
from hgq.utils import trace_minmax
from hgq.utils.sugar import Dataset, FreeEBOPs

FIXED = os.environ.get("FIXED") == "1"
BATCH, RATE, CYCLES = (33_200, 5e-3, 0) if FIXED else (1024, 5e-3, 20)
BETAS = (1e-6, 2e-3) if FIXED else (1e-6, 4e-4)
#: Points kept for every doubling of EBOPs.
PER_DOUBLING = 16


def network() -> keras.Model:
    """As in the example."""
    weights = QuantizerConfigScope(place="all", k0=1, b0=3, i0=0, default_q_type="kbi", overflow_mode="sat_sym")
    data = QuantizerConfigScope(place="datalane", k0=0, default_q_type="kif", overflow_mode="wrap", f0=3, i0=3)
    with weights, data:
        given = QuantizerConfig(place="datalane", k0=1)
        made = QuantizerConfig(place="datalane", k0=1, fr=MonoL1(1e-3))
        return keras.models.Sequential(
            [
                keras.layers.Input((16,)),
                QDense(64, beta0=BETAS[0], iq_conf=given, activation="relu"),
                QDense(32, beta0=BETAS[0], activation="relu"),
                QDense(32, beta0=BETAS[0], activation="relu"),
                QDense(5, beta0=BETAS[0], enable_oq=True, oq_conf=made),
            ]
        )


class Clock(keras.callbacks.Callback):
    """Beta and step size by the clock, which stands still before the second epoch; the best weights at every cost."""

    def __init__(self, seconds: float, rate: float, per_epoch: int) -> None:
        super().__init__()
        self.seconds, self.rate, self.per_epoch, self.began, self.steps = seconds, rate, per_epoch, 0.0, 0
        self.best: dict[int, tuple[float, float, list[np.ndarray]]] = {}

    @property
    def done(self) -> float:
        """How much of the time is over."""
        return (monotonic() - self.began) / self.seconds

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """Set beta and step size."""
        if epoch == 1:
            self.began = monotonic()
        done = self.done if epoch else 0.0
        beta = BETAS[0] * (BETAS[1] / BETAS[0]) ** done
        for layer in self.model._flatten_layers():
            if getattr(layer, "_beta", None) is not None:
                layer._beta.assign(keras.ops.convert_to_tensor(beta, dtype=layer._beta.dtype))
        cosine = 0.05 + 0.95 * 0.5 * (1 + cos(pi * (done * CYCLES % 1))) if CYCLES else 1.0
        self.model.optimizer.learning_rate = self.rate * cosine

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keep the weights if they are the best at their cost."""
        assert logs is not None
        self.steps += self.per_epoch
        place = int(np.log2(max(logs["ebops"], 1.0)) * PER_DOUBLING)
        if place not in self.best or logs["val_accuracy"] > self.best[place][0]:
            self.best[place] = logs["val_accuracy"], logs["ebops"], self.model.get_weights()
        if epoch and self.done >= 1:
            self.model.stop_training = True


def main() -> None:
    """Train by the clock, trace the best of every step of cost."""
    given = Given.read()
    keras.utils.set_random_seed(given.seed)
    model, labels = network(), [keras.utils.to_categorical(y, 5) for y in given.y]
    steps = -(-len(given.y[0]) // BATCH)
    loss, adam = keras.losses.CategoricalCrossentropy(from_logits=True), keras.optimizers.Adam(RATE)
    model.compile(adam, loss, metrics=["accuracy"], jit_compile=True, steps_per_execution=steps)
    training = Dataset(given.x[0], labels[0], batch_size=BATCH, device="cpu:0", shuffle=not FIXED)
    validation = Dataset(given.x[1], labels[1], batch_size=16_000, device="cpu:0")
    clock = Clock(given.seconds, given.rate or RATE, steps)
    ends = [FreeEBOPs(), clock, keras.callbacks.TerminateOnNaN()]
    model.fit(training, epochs=10**9, validation_data=validation, verbose=0, callbacks=ends)
    seconds, kept = monotonic() - clock.began, [clock.best[place] for place in sorted(clock.best)]
    made: list[Made] = []
    for place in spread([ebops for _, ebops, _ in kept], [-accuracy for accuracy, _, _ in kept]):
        model.set_weights(kept[place][2])
        own = trace_minmax(model, np.concatenate(given.x[:2]))
        logic = trace(*trace_model(model, HWConfig(1, -1, -1), {"hard_dc": 2}))
        made.append(judged(logic, lambda x: x, given, own, f"{len(made):02d}"))
        print(made[-1], kept[place][0], flush=True)
    finish(given, made, clock.steps, seconds)


if __name__ == "__main__":
    sys.exit(main())

"""Rounding modes that the number system does not have."""

from collections.abc import Iterator

from codesign.check._finding import Finding, Rule
from codesign.check._subject import Subject

NEAREST = ("ROUND", "HALF_EVEN")


class Roundings(Rule):
    """Activations are truncated, which behind a bias is rounding half up; weights are rounded to nearest even."""

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """One per tensor."""
        graph = subject.graph
        for name, quantizer in subject.quantizers.items():
            mode = quantizer.rounding
            if graph is None or name in graph.parameters:
                if mode not in NEAREST:
                    action = "weights that lie on their grid already don't change; others are rounded to nearest even"
                    yield Finding("changes", name, f"rounding {mode}", "ROUND for weights", action)
            elif name in graph.inputs:
                if mode != "FLOOR":
                    action = "inputs are rounded down; give inputs on the grid, and nothing changes"
                    yield Finding("changes", name, f"rounding {mode}", "FLOOR for inputs", action)
            elif mode not in (*NEAREST, "FLOOR", "HALF_UP"):
                action = "rounded half up, by half a step in the bias before it; fine-tuning recovers what that costs"
                yield Finding("changes", name, f"rounding {mode}", "FLOOR or ROUND for activations", action)
            elif mode in NEAREST:
                action = (
                    "half a step is added to the bias before it: rounding half up, different from nearest even on ties"
                )
                yield Finding("changes", name, f"rounding {mode}", "FLOOR, which costs no hardware", action)

"""Reports to make pages of: a real one, and one of a large network."""

import copy
import json
from html.parser import HTMLParser
from typing import Any

from tests.builds import finished


def report() -> dict[str, Any]:
    """The tiny build's."""
    return finished().report()


def large(layers: int = 200, points: int = 400, classes: int = 10) -> dict[str, Any]:
    """The tiny build's, with as much in it as a large network has."""
    whole = report()
    names = [f"stage{place // 10}.block{place % 10}.convolution{place}" for place in range(layers)]
    first = whole["layers"][0]
    counts = {key: list(range(len(first["histogram"][key]))) for key in ("rounded", "before")}
    whole["layers"] = [
        {
            **first,
            "name": name,
            "weight_name": f"{name}.weight",
            "weight_bits": [2 + place % 6, 8],
            "sensitivity": place,
        }
        | {"histogram": {**first["histogram"], **counts}}
        for place, name in enumerate(names)
    ]
    for metric in whole["sensitivity"]["metrics"].values():
        score = metric["scores"][0]
        metric["scores"] = [{**score, "tensor": f"{name}.weight", "kind": "weights"} for name in names]
        places = [{"tensor": f"{name}.weight", "figure": 1.0 + place, "error": 0.5} for place, name in enumerate(names)]
        metric["ranking"] = {"weights": places, "activations": []}
    cost = whole["allocation"]["cost"]

    def point(place: int) -> dict[str, Any]:
        bits = {f"{name}.weight": (place + at) % 7 + 2 for at, name in enumerate(names)}
        return {"loss": 1.0 / (1 + place), "costs": {cost: 1000.0 + place}, "bits": bits, "gap": 0.0}

    whole["allocation"] |= {"front": [point(place) for place in range(points)], "chosen": points // 3}
    whole["allocation"]["uniform"] = [{"weight_bits": bits, **point(bits)} for bits in range(2, 9)]
    whole["classes"] = [{**whole["classes"][0], "name": f"class {place}"} for place in range(classes)]
    whole["confusion"] = {
        network: [[place * at for at in range(classes)] for place in range(classes)] for network in whole["confusion"]
    }
    whole["roc"] = [{**copy.deepcopy(whole["roc"][0]), "signal": [f"class {place}"]} for place in range(classes)]
    return whole


def bare() -> dict[str, Any]:
    """The tiny build's, as a network without classes, without training and without a choice of bits has it."""
    whole = report()
    whole["quality"] = {"squared_error": {"float": 0.1, "quantized": 0.2, "unit": "", "errors": None}}
    whole |= {
        "classes": [],
        "confusion": {},
        "roc": [],
        "finetune": None,
        "layers": [],
        "checks": [],
        "notices": [],
        "passes": [],
    }
    whole["allocation"] |= {"solver": "given", "uniform": [], "front": whole["allocation"]["front"][:1], "chosen": 0}
    whole["environment"]["command"] = None
    return whole


class Page(HTMLParser):
    """What a browser makes of a page: elements with their attributes, texts, and what the scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.headings: list[str] = []
        self._inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        inside = self._inside[-1] if self._inside else ""
        if inside == "script":
            self.scripts.append(data)
        elif inside != "style":
            self.texts.append(data)
            self.headings += [data] if inside == "h2" else []

    @property
    def data(self) -> dict[str, Any]:
        """What the page's figures are drawn of."""
        return json.loads(next(text for text in self.scripts if text.startswith("{")))

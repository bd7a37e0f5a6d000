# ruff: noqa: T201  (a program)
"""Damaged ONNX files: each is read or refused, in a process of its own that a crash may take.

``python -m tests.load.onnx_fuzz SEED COUNT`` says how many were read and refused, and ends with 1 at the first failure.
"""

import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from codesign.errors import InputError
from tests.load.onnx_nets import model, node, plain_mlp, quantized_mlp, read, samples

LIMIT_S = 10
FILES = Path(__file__).parent / "onnx_files"
Mutation = Callable[[onnx.ModelProto, random.Random], Any]


def convolutional() -> onnx.ModelProto:
    """Convolution, pooling, sums and shapes."""
    numbers = np.random.default_rng(0)
    constants = {
        "w": numbers.normal(size=(4, 1, 3, 3)).astype("f4"), "b": np.ones(4, "f4"), "shape": np.array([0, -1]),
        "u": numbers.normal(size=(4, 4, 3, 3)).astype("f4"), "v": numbers.normal(size=(16, 3)).astype("f4"),
        **{name: np.ones(4, "f4") for name in ("gamma", "beta", "mean", "variance")},
    }  # fmt: skip
    nodes = [
        node("Conv", "x w b", "c", "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1], dilations=[1, 1]),
        node("BatchNormalization", "c gamma beta mean variance", "n", "norm", epsilon=1e-5),
        node("Relu", "n", "r", "relu"),
        node("Conv", "r u", "d", "conv2", kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=1),
        node("Add", "d r", "a", "add"),
        node("MaxPool", "a", "m", "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("AveragePool", "m", "g", "average", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=0),
        node("Reshape", "g shape", "f", "reshape"),
        node("MatMul", "f v", "s", "fc"),
        node("Softmax", "s", "y", "softmax", axis=-1),
    ]
    return model(nodes, constants, (1, 1, 8, 8), opset=13)


BASES: list[tuple[Callable[[], onnx.ModelProto], tuple[int, ...]]] = [
    (plain_mlp, (4,)),
    (quantized_mlp, (4,)),
    (convolutional, (1, 8, 8)),
    *((lambda name=name: onnx.load(FILES / f"{name}.onnx"), shape) for name, shape in
      [("brevitas_qonnx", (6,)), ("brevitas_qcdq", (6,)), ("brevitas_conv", (1, 8, 8)), ("sklearn_mlp", (6,)),
       ("keras_cnn", (8, 8, 2))]),
]  # fmt: skip

ODD_NUMBERS = (0, 1, -1, 2, 3, 7, 255, 2**16, 2**31 - 1, 2**31, -(2**31), 2**62, -(2**63))
ODD_FLOATS = (0.0, -1.0, float("nan"), float("inf"), 1e-45, 1e38, 0.3)


def some(items: Any, dice: random.Random) -> Any:
    """One of a repeated field; None of an empty one."""
    return items[dice.randrange(len(items))] if len(items) else None


def attribute(built: onnx.ModelProto, dice: random.Random) -> None:
    """An attribute gets other numbers, another type, or goes."""
    item = some([n for n in built.graph.node if n.attribute], dice)
    if item is None:
        return
    found = some(item.attribute, dice)
    number = dice.choice(ODD_NUMBERS)
    choice = dice.randrange(5)
    if choice == 0:
        found.CopyFrom(helper.make_attribute(found.name, number))
    elif choice == 1:
        found.CopyFrom(helper.make_attribute(found.name, [number] * dice.randrange(1, 5)))
    elif choice == 2:
        found.CopyFrom(helper.make_attribute(found.name, dice.choice(ODD_FLOATS)))
    elif choice == 3:
        found.CopyFrom(helper.make_attribute(found.name, dice.choice(["", "SAME_UPPER", "é", "FLOOR"])))
    else:
        item.attribute.remove(found)


def wiring(built: onnx.ModelProto, dice: random.Random) -> None:
    """A node reads or writes another tensor, or one fewer or more."""
    item = some(built.graph.node, dice)
    names = [name for n in built.graph.node for name in (*n.input, *n.output)] + ["", "nothing"]
    side = item.input if dice.random() < 0.8 else item.output
    if len(side) and dice.random() < 0.7:
        side[dice.randrange(len(side))] = dice.choice(names)
    elif len(side) and dice.random() < 0.5:
        del side[dice.randrange(len(side))]
    else:
        side.append(dice.choice(names))


def operator(built: onnx.ModelProto, dice: random.Random) -> None:
    """A node computes something else, or is of another domain."""
    item = some(built.graph.node, dice)
    kinds = [*sorted({n.op_type for n in built.graph.node}), "If", "Loop", "LSTM", "Transpose", "Squeeze", "Trunc", ""]
    if dice.random() < 0.8:
        item.op_type = dice.choice(kinds)
    else:
        item.domain = dice.choice(["", "ai.onnx.ml", "qonnx.custom_op.general", "com.evil"])


def tensor(built: onnx.ModelProto, dice: random.Random) -> None:
    """Weights get another shape or type, odd values, fewer bytes, or are said to be elsewhere."""
    item = some(built.graph.initializer, dice)
    if item is None:
        return
    choice = dice.randrange(6)
    if choice == 0:
        item.dims.append(dice.choice(ODD_NUMBERS))
    elif choice == 1 and len(item.dims):
        item.dims[dice.randrange(len(item.dims))] = dice.choice(ODD_NUMBERS)
    elif choice == 2:
        item.data_type = dice.randrange(0, 26)
    elif choice == 3:
        item.raw_data = item.raw_data[: dice.randrange(len(item.raw_data) + 1)]
    elif choice == 4:
        item.data_location = TensorProto.EXTERNAL
        places = ["/etc/passwd", "../../secret", "net.onnx", "", "\x00", "a" * 5000]
        item.external_data.add(key="location", value=dice.choice(places))
        item.external_data.add(key="offset", value=dice.choice(["-1", "x", str(2**63), "0"]))
    elif item.data_location != TensorProto.EXTERNAL:
        try:
            values = np.array(numpy_helper.to_array(item))
            flat = values.reshape(-1)
            if flat.size and flat.dtype.kind == "f":
                flat[dice.randrange(flat.size)] = dice.choice(ODD_FLOATS)
            elif flat.size and flat.dtype.kind == "i":
                flat[dice.randrange(flat.size)] = np.array(dice.choice(ODD_NUMBERS)).astype(flat.dtype)
            item.CopyFrom(numpy_helper.from_array(values, item.name))
        except (ValueError, TypeError):
            pass


def ends(built: onnx.ModelProto, dice: random.Random) -> None:
    """Another input shape or type, another output, other versions."""
    choice = dice.randrange(5)
    given = built.graph.input[0]
    if choice == 0:
        some(given.type.tensor_type.shape.dim, dice).dim_value = dice.choice(ODD_NUMBERS)
    elif choice == 1:
        given.type.tensor_type.elem_type = dice.randrange(0, 20)
    elif choice == 2:
        some(built.graph.output, dice).name = dice.choice(["", "x", "nothing", *built.graph.node[0].output])
    elif choice == 3:
        some(built.opset_import, dice).version = dice.choice(ODD_NUMBERS)
    else:
        built.graph.input.add().CopyFrom(given)


def order(built: onnx.ModelProto, dice: random.Random) -> None:
    """A node goes, comes twice, or in another order."""
    nodes = list(built.graph.node)
    choice = dice.randrange(3)
    if choice == 0:
        nodes.pop(dice.randrange(len(nodes)))
    elif choice == 1:
        nodes.append(dice.choice(nodes))
    else:
        dice.shuffle(nodes)
    del built.graph.node[:]
    built.graph.node.extend(nodes)


MUTATIONS: list[Mutation] = [attribute, attribute, wiring, wiring, operator, tensor, tensor, ends, order]


def damaged(dice: random.Random) -> tuple[bytes, tuple[int, ...]]:
    """A file's bytes, and the shape of the data for it."""
    make, shape = dice.choice(BASES)
    built = make()
    if dice.random() < 0.7:
        for _ in range(dice.choice([1, 1, 2, 4])):
            dice.choice(MUTATIONS)(built, dice)
        try:
            return built.SerializeToString(), shape
        except ValueError:
            return b"", shape
    content = bytearray(built.SerializeToString())
    if dice.random() < 0.3:
        return bytes(content[: dice.randrange(len(content))]), shape
    for _ in range(dice.choice([1, 3, 20])):
        content[dice.randrange(len(content))] = dice.randrange(256)
    return bytes(content), shape


def stop(number: int, frame: FrameType | None) -> None:
    """Too long."""
    raise TimeoutError(f"over {LIMIT_S} s")


def attempt(content: bytes, shape: tuple[int, ...], folder: Path) -> str:
    """What becomes of a file.

    Raises:
        Exception: Anything but the error that tells the user what is wrong.
    """
    path = folder / "net.onnx"
    path.write_bytes(content)
    signal.alarm(LIMIT_S)
    try:
        read(path, samples(shape, 4))
        return "read"
    except InputError as error:
        assert error.where, error
        assert error.found, error
        return "refused"
    finally:
        signal.alarm(0)
        assert [item.name for item in folder.iterdir()] == ["net.onnx"], "files were written"


def main(seed: int, count: int) -> int:
    """Try files; the number of each kind of outcome goes to standard output, a failure with its number too."""
    signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (12 * 2**30, 12 * 2**30))
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for number in range(seed, seed + count):
            print(number, file=sys.stderr, flush=True)  # the last one, if the process dies
            content, shape = damaged(random.Random(number))
            begin = time.perf_counter()
            try:
                outcomes[attempt(content, shape, Path(folder))] += 1
            except BaseException as error:
                print(f"file {number}: {type(error).__name__}: {error}")
                raise
            if time.perf_counter() - begin > 2:
                print(f"file {number} took {time.perf_counter() - begin:.1f} s", file=sys.stderr)
    print(dict(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))

"""Where a network in an ONNX file begins and ends."""

from collections.abc import Sequence

from onnx import ValueInfoProto

from codesign.errors import InputError, did_you_mean
from codesign.load.onnx_files.file import OnnxFile
from codesign.ops.onnx_calls import FLOATS
from codesign.ops.op import Shape


def network_inputs(file: OnnxFile, shapes: Sequence[Shape]) -> dict[str, Shape]:
    """Shapes of the inputs by name, the batch axis left out: the file may fix the batch, here it is any.

    Args:
        file: The file.
        shapes: Of the data's input arrays, the samples left out.

    Raises:
        InputError: The file has other inputs, or leaves more open than the batch.
    """
    given = file.inputs()
    if len(given) != len(shapes):
        found = f"{len(given)} inputs ({', '.join(info.name for info in given)})"
        raise InputError(str(file.path), found, f"{len(shapes)}, as the data has input arrays")
    return {info.name: _checked(file, info, shape) for info, shape in zip(given, shapes, strict=True)}


def _checked(file: OnnxFile, info: ValueInfoProto, shape: Shape) -> Shape:
    kind, where = info.type.tensor_type, f"{file.path}, input {info.name!r}"
    if kind.elem_type not in FLOATS:
        raise InputError(where, "not a tensor of floats", "float inputs")
    sizes = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in kind.shape.dim]
    if not sizes or any(isinstance(size, str) for size in sizes[1:]):
        found = f"dynamic shape [{', '.join(map(str, sizes))}]" if sizes else "no shape"
        hint = f"export it with the data's shape, {['batch', *shape]}; only the batch may be dynamic"
        raise InputError(where, found, "fixed sizes behind the batch", hint)
    if tuple(sizes[1:]) != shape:
        raise InputError(where, f"data of shape {['batch', *shape]}", f"{['batch', *sizes[1:]]}, by the file")
    if 0 in shape:
        raise InputError(where, f"shape {list(shape)}", "at least one element")
    return shape


def network_output(file: OnnxFile, wish: str) -> str:
    """The name of the tensor with the logits.

    Args:
        file: The file.
        wish: A name, or nothing for the only output.

    Raises:
        InputError: There is none of that name, or several to choose from.
    """
    names = [info.name for info in file.model.graph.output]
    written = {name for node in file.model.graph.node for name in node.output}
    if wish and wish not in written:
        raise InputError("load.onnx, output", f"no tensor {wish!r} in {file.path}", "", did_you_mean(wish, names))
    if not wish and len(names) != 1:
        found = f"{len(names)} outputs ({', '.join(names)})"
        raise InputError(str(file.path), found, "one", "name the one with the logits: load.onnx.output")
    return wish or names[0]

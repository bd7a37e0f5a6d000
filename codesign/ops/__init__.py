"""The closed set of operations, found by module name: one file per family."""

from functools import cache
from importlib import import_module
from inspect import isabstract
from pkgutil import iter_modules
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, SerializationInfo, TypeAdapter, ValidationInfo

from codesign.errors import ContractError
from codesign.ops.op import Op


@cache
def operations() -> dict[str, type[Op]]:
    """Every operation by its kind.

    Raises:
        ContractError: Two classes claim one kind.
    """
    found: dict[str, type[Op]] = {}
    for info in sorted(iter_modules(__path__), key=lambda info: info.name):
        for value in vars(import_module(f"{__name__}.{info.name}")).values():
            if not (isinstance(value, type) and issubclass(value, Op)) or isabstract(value):
                continue
            if found.setdefault(value.kind, value) is not value:
                raise ContractError(f"operation {value.kind!r}", f"claimed by {found[value.kind]} and {value}")
    return found


def by_torch_target() -> dict[str, type[Op]]:
    """Operations by the torch call they stand for."""
    return {target: op for op in operations().values() for target in op.torch_targets}


def by_onnx_type() -> dict[str, type[Op]]:
    """Operations by the ONNX operator they stand for."""
    return {name: op for op in operations().values() for name in op.onnx_types}


def _encode(op: Op, info: SerializationInfo) -> dict[str, Any]:
    return {"kind": op.kind, **TypeAdapter(type(op)).dump_python(op, mode="json", context=info.context)}


def _decode(value: Any, info: ValidationInfo) -> Op:
    if isinstance(value, Op):
        return value
    options = {name: option for name, option in value.items() if name != "kind"}
    return TypeAdapter(operations()[value["kind"]]).validate_python(options, context=info.context)


#: An operation in a record: written with its kind, read back as that class.
OpField = Annotated[Op, PlainValidator(_decode), PlainSerializer(_encode)]

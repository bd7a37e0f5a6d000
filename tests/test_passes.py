"""Every pass of the registry keeps the contract, and the engine holds it to that."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import FrozenInstanceError, dataclass, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from codesign import passes, plugins
from codesign.describe import options, summary
from codesign.design import COLLECTIONS, FIELDS, Artifact, Design, Measure
from codesign.directory import opened
from codesign.engine import Engine, Fields, encode
from codesign.errors import CodesignError, ContractError, InputError
from codesign.flow import Flow, load_flow, plan
from codesign.passes import STAGES, Pass, lookup, registry
from codesign.pipeline import Quiet
from codesign.setting import Setting, settings
from codesign.shipped import read_toml
from codesign.target import load_target
from tests.builds import lasting_folder, make, make_given, python
from tests.synthesize.projects import needs_cells, needs_sta

NAMES = sorted(registry())
#: Passes that learn bits of single weights.
LEARNED = ("finetune.per_weight", "finetune.pick")
#: Passes of the flows for networks with quantizers of their own.
GIVEN = ("load.onnx", "allocate.given")


@pytest.mark.parametrize("name", NAMES)
def test_is_a_frozen_dataclass(name: str) -> None:
    step = lookup(name)
    assert is_dataclass(step)
    assert vars(step)["__dataclass_params__"].frozen, "must be @dataclass(frozen=True)"
    for field in fields(step):
        with pytest.raises(FrozenInstanceError):
            setattr(object.__new__(step), field.name, None)


@pytest.mark.parametrize("name", NAMES)
def test_is_documented_with_every_option(name: str) -> None:
    step = lookup(name)
    assert "__doc__" in vars(step)
    assert len(summary(step)) > 20
    assert not summary(step).startswith(f"{step.__name__}("), "the docstring is the one that dataclass makes"
    described = options(step)
    names, own = [field.name for field in fields(cast(Any, step))], vars(step).get("__annotations__", {})
    inherited = [name for name in names if name not in own]
    assert [option.name for option in described] == [name for name in names if name in own] + inherited
    assert [option.name for option in described if not option.help] == []
    for option in described:
        assert option.type
        assert not re.search(r"[<>]|typing|pathlib|codesign", option.type), option.type


@pytest.mark.parametrize("name", NAMES)
def test_is_named_by_stage_and_method(name: str) -> None:
    step = lookup(name)
    assert step.name == name
    assert re.fullmatch(rf"({'|'.join(STAGES)})\.[a-z][a-z0-9_]*", name)
    assert step.__module__ == f"codesign.{name}"


def test_names_are_unique() -> None:
    assert len({step.__qualname__ + step.__module__ for step in registry().values()}) == len(NAMES)
    assert {step.name for step in registry().values()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_reads_and_writes_fields_of_the_design(name: str) -> None:
    step = lookup(name)
    assert step.writes
    for declared in (*step.reads, *step.optional, *step.writes):
        field, _, key = declared.partition(".")
        assert field in FIELDS
        assert not key or field in COLLECTIONS
    assert not set(step.reads) & set(step.optional)


@pytest.mark.parametrize("name", NAMES)
def test_options_have_types_that_a_file_can_hold(name: str) -> None:
    """An option's default, written as JSON, reads back as the same."""
    from codesign.typed import adapter, parse

    step = lookup(name)
    required = {field.name: value for field in fields(cast(Any, step)) if (value := _required(field)) is not None}
    made = parse(step, required, "test")
    again = parse(step, adapter(step).dump_python(made, mode="json"), "test")
    assert again == made


def _required(field: Any) -> Any:
    """A value for an option without a default."""
    from dataclasses import MISSING

    numbers: dict[Any, Any] = {tuple[int, int]: [0, 1], int: 1, float: 1.0}
    kinds = numbers | {Path: "file", str: "text", tuple[str, ...]: ["text"]}
    return kinds[field.type] if field.default is MISSING and field.default_factory is MISSING else None


# What the engine hides and refuses.


@dataclass(frozen=True)
class Toy(Pass):
    """A pass made of a function.

    Args:
        does: Called with the design; returns what is written.
    """

    does: Callable[[Design], Mapping[str, object]]

    name: ClassVar[str] = "verify.toy"
    reads: ClassVar[tuple[str, ...]] = ("dataset", "artifacts.seen")
    optional: ClassVar[tuple[str, ...]] = ("checks", "measures.seen")
    writes: ClassVar[tuple[str, ...]] = ("measures.made", "notices")

    def run(self, design: Design, context: passes.Context) -> Mapping[str, object]:
        """Call the function."""
        return self.does(design)


MADE = {"measures": {"made": Measure(1.0, "one", "estimated", "verify.toy")}, "notices": {"a": "b"}}
WHOLE = Design(
    {
        "dataset": "the data",
        "sensitivity": "hidden",
        "artifacts": {"seen": Artifact("seen", "0"), "hidden": Artifact("hidden", "0")},
        "measures": {name: Measure(1.0, "one", "estimated", "") for name in ("seen", "hidden")},
    }
)


def test_a_pass_sees_what_it_declared_and_nothing_else() -> None:
    def look(design: Design) -> Mapping[str, object]:
        assert design.dataset == "the data"
        assert list(design.artifacts) == ["seen"]
        assert list(design.measures) == ["seen"]
        assert not design.has("checks")
        assert not design.has("sensitivity")
        return MADE

    after = Toy(look)(WHOLE)
    assert set(after.measures) == {"seen", "hidden", "made"}
    assert set(after.artifacts) == {"seen", "hidden"}
    assert after.notices == {"a": "b"}


@pytest.mark.parametrize("field", ["sensitivity", "target", "quantized"])
def test_reading_what_was_not_declared_is_an_error(field: str) -> None:
    def look(design: Design) -> Mapping[str, object]:
        return {"notices": {"a": str(getattr(design, field))}}

    with pytest.raises(ContractError, match=rf"design\.{field}.*declares"):
        Toy(look)(WHOLE)


@pytest.mark.parametrize(
    "extra",
    [{"graph": 1}, {"measures": {**MADE["measures"], "other": 1}}, {"checks": {"a": 1}}],
    ids=["field", "key of a collection", "another collection"],
)
def test_writing_what_was_not_declared_is_refused(extra: dict[str, object]) -> None:
    with pytest.raises(ContractError, match=r"verify\.toy.*wrote '(graph|measures\.other|checks\.a)'.*measures\.made"):
        Toy(lambda _: {**MADE, **extra})(WHOLE)


@pytest.mark.parametrize("missing", ["measures", "notices"])
def test_not_writing_what_was_declared_is_refused(missing: str) -> None:
    with pytest.raises(ContractError, match=rf"verify\.toy.*did not write '{missing}"):
        Toy(lambda _: {name: value for name, value in MADE.items() if name != missing})(WHOLE)


def test_a_design_cannot_be_assigned_to() -> None:
    def assign(design: Design) -> Mapping[str, object]:
        design.graph = cast(Any, 1)
        return MADE

    with pytest.raises(ContractError, match="frozen"):
        Toy(assign)(WHOLE)


# The registry and passes of other packages.


@dataclass(frozen=True)
class Entry:
    """An entry point, as ``importlib.metadata`` gives them."""

    name: str
    value: object
    dist: None = None

    def load(self) -> Any:
        """The class, or the error of importing it."""
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Entry]]:
    """Entry points that the registry finds; it is read anew, and again afterwards."""
    found: list[Entry] = []

    def entry_points(group: str) -> list[Entry]:
        assert group == "codesign.passes"
        return found

    with monkeypatch.context() as patch:
        patch.setattr(plugins, "entry_points", entry_points)
        registry.cache_clear()
        yield found
    registry.cache_clear()


def test_a_pass_of_another_package_is_found(entries: list[Entry]) -> None:
    entries.append(Entry("toy", Toy))
    assert lookup("verify.toy") is Toy
    assert len(registry()) == len(NAMES) + 1


def test_two_owners_of_one_name_are_an_error_that_names_both(entries: list[Entry]) -> None:
    mine = type("Mine", (Toy,), {"name": "finetune.qat", "__module__": "somebody.elses"})
    entries.append(Entry("qat", mine))
    with pytest.raises(ContractError, match=r"finetune\.qat.*codesign\.finetune\.qat and somebody\.elses"):
        registry()


def test_two_other_packages_with_one_name_are_an_error(entries: list[Entry]) -> None:
    for package in ("first.package", "second.package"):
        entries.append(Entry("toy", type("Mine", (Toy,), {"name": "verify.mine", "__module__": package})))
    with pytest.raises(ContractError, match=r"first\.package and second\.package"):
        registry()


def test_an_import_error_of_another_package_is_not_swallowed(entries: list[Entry]) -> None:
    entries.append(Entry("broken", ImportError("no module named jax")))
    with pytest.raises((ImportError, CodesignError), match="no module named jax"):
        registry()


def test_the_message_of_an_import_error_names_the_package(tmp_path: Path) -> None:
    """The user has to know what to uninstall; it is no defect of codesign."""
    metadata = tmp_path / "site" / "somebody-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[codesign.passes]\nbroken = somebody_passes:Broken\n")
    (tmp_path / "site" / "somebody_passes.py").write_text("import no_such_library\n")
    code = "import sys; from codesign.cli import main; sys.argv = ['codesign', 'passes']; main()"
    outcome = python(code, cwd=tmp_path, environment={"PYTHONPATH": str(tmp_path / "site")})
    assert outcome.code != 0
    assert "no_such_library" in outcome.err
    assert "Traceback" not in outcome.err
    assert "somebody" in outcome.err


def test_an_unknown_stage_or_field_is_refused(entries: list[Entry]) -> None:
    entries[:] = [Entry("a", type("Odd", (Toy,), {"name": "cook.toy"}))]
    with pytest.raises(ContractError, match=r"'cook'.*load"):
        registry()
    entries[:] = [Entry("a", type("Odd", (Toy,), {"name": "verify.odd", "reads": ("grpah",)}))]
    with pytest.raises(ContractError, match=r"unknown field 'grpah'"):
        registry()


def test_lookup_of_a_misspelt_pass_suggests() -> None:
    with pytest.raises(InputError, match=r"finetune\.qta.*did you mean 'finetune\.qat'"):
        lookup("finetune.qta")


# Determinism.


@dataclass(frozen=True)
class Recorded:
    """One build in one store: what every pass wrote, as JSON, and the blobs of the store."""

    changes: dict[str, Fields]
    blobs: list[str]


def flattened(fields: Fields) -> Fields:
    """Fields by name, collections by entry."""
    found: Fields = {}
    for name, value in fields.items():
        found |= {f"{name}.{key}": item for key, item in value.items()} if name in COLLECTIONS else {name: value}
    return found


def record(
    folder: Path, seed: int, until: str | None = None, flow: str = "hls4ml", also: tuple[str, ...] = ()
) -> Recorded:
    """Build the tiny project with a flow, more passes and every sensitivity metric in a new store."""
    learned = {"finetune": {"epochs": None}, "finetune.per_weight": {"steps": 100, "compiled": False}}
    settings_of = {"ecp5": {"place.nextpnr": {"seeds": 1}}, "rtl": {"deploy.patterns": {"packing": "in_order"}}}
    own = (settings_of | {"per_weight": learned}).get(flow)
    project = make_given(folder) if flow.startswith("given") else make(folder, flow, own)
    table = read_toml(project.file)
    metrics = [name for name in NAMES if name.startswith("sensitivity.")]
    chosen = load_flow(flow, project.folder).extended([*metrics, *also], "test")
    steps = plan(chosen, settings({k: v for k, v in table.items() if k in STAGES}, "test", project.folder), ("target",))
    changes: dict[str, Fields] = {}
    with opened(project.out) as store:
        fields = encode(Design({"target": load_target("pynq-z2", project.folder)}), store)
        for step in steps:
            before = flattened(fields)
            fields, _ = Engine(store, seed, Quiet()).step(step, fields)
            changes[step.name] = {name: value for name, value in flattened(fields).items() if before.get(name) != value}
            if step.name == until:
                break
        return Recorded(changes, sorted(path.name for path in store.blobs.rglob("*") if path.is_file()))


#: Formats for deployment, which no flow has.
DEPLOY = ("deploy.emulator", "deploy.ip", "deploy.patterns")
#: Flows that are built in two stores, each up to a pass and with passes that it lacks.
BUILDS: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "hls4ml": (None, ("deploy.bundle",)),
    "given-qonnx": ("finetune.qat", ()),
    "rtl": (None, ("synthesize.layers", *DEPLOY)),
    "ecp5": ("place.nextpnr", ()),
    "asic": ("synthesize.asic", ()),
    "per_weight": ("finetune.pick", ()),
}


@cache
def twice(flow: str) -> list[Recorded]:
    """The same build in two stores."""
    until, also = BUILDS[flow]
    return [record(lasting_folder() / "project", 3, until, flow, also) for _ in range(2)]


#: Passes of flows whose tools take their time.
RTL = ("estimate.resources", "transpile.rtl", "verify.rtl", "synthesize.yosys", "synthesize.layers")
ECP5 = ("transpile.retarget", "place.nextpnr")
ASIC = ("synthesize.asic",)
SLOW = (*RTL, *ECP5, *ASIC, *DEPLOY)

#: Stages whose passes are added to flows that do not have them.
ADDED = ("sensitivity", "verify", "synthesize", "deploy")
#: Passes that need data of another kind, or that these flows do not have, and are run in tests of their own.
VENDORS = tuple(f"synthesize.{name}" for name in ("vivado", "vitis_hls", "quartus", "catapult"))
ELSEWHERE = ("verify.anomaly", *VENDORS)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW) + [needs_cells, needs_sta] * (n in ASIC))
        for n in NAMES
        if n not in ELSEWHERE
    ],
)
def test_is_deterministic_for_a_seed(name: str) -> None:
    flows = {"given-qonnx": GIVEN, "rtl": RTL + DEPLOY, "ecp5": ECP5, "asic": ASIC, "per_weight": LEARNED}
    first, second = twice(next((flow for flow, names in flows.items() if name in names), "hls4ml"))
    assert name in first.changes, "no shipped flow that this test builds has the pass: build another flow here"
    assert json.dumps(first.changes[name]) == json.dumps(second.changes[name])
    assert first.changes[name]


def test_equal_builds_leave_equal_blobs() -> None:
    first, second = twice("hls4ml")
    assert first.blobs == second.blobs


def test_only_seeded_passes_depend_on_the_seed(tmp_path: Path) -> None:
    other = record(tmp_path / "project", 4, until="finetune.qat")
    differs = [name for name, changes in other.changes.items() if changes != twice("hls4ml")[0].changes[name]]
    # Traces of so small a network are exact; eigenvalues start at a random vector, and the comparison shows them.
    assert "finetune.qat" in differs
    assert {name for name in differs if not lookup(name).seeded} <= {"sensitivity.comparison"}


def test_plan_makes_passes_with_their_options(tmp_path: Path) -> None:
    project = make(tmp_path / "project")
    own = settings({"finetune": {"epochs": 3}}, "test", project.folder)
    data = settings({key: value for key, value in read_toml(project.file).items() if key == "load"}, "", project.folder)
    steps = {step.name: step for step in plan(load_flow("qonnx", project.folder), [*data, *own], ("target",))}
    assert vars(steps["finetune.qat"])["epochs"] == 3
    assert steps["finetune.qat"] == replace(cast(Any, lookup("finetune.qat")()), epochs=3)
    assert vars(steps["load.npz"])["data"] == project.folder / "data.npz"


def test_one_of_several_fields_is_enough_and_none_is_refused() -> None:
    step, here = lookup("synthesize.vivado")(), Path()
    assert step.any_of == ("artifacts.rtl", "artifacts.vitis_hls")
    for present in step.any_of:
        assert plan(Flow("one", "", (step.name,)), [], ("target", present))
    with pytest.raises(InputError, match=r"reads 'artifacts.rtl' or 'artifacts.vitis_hls', which no pass .*vitis_hls"):
        plan(load_flow("hls4ml", here).extended([step.name], "test"), _loading(here), ("target",))


def _loading(here: Path) -> list[Setting]:
    """What the loaders need to be planned."""
    given = {"load.npz": {"data": __file__, "train": [0, 1], "validation": [1, 2], "test": [2, 3]}}
    given["load.torch"] = {"model": __file__, "factory": "Tiny", "checkpoint": __file__}
    return [
        Setting(f"{name}.{key}", value, "test", here) for name, each in given.items() for key, value in each.items()
    ]


@pytest.mark.parametrize("flow", ["hls4ml", "qonnx", "rtl", "given"])
@pytest.mark.parametrize("name", [name for name in NAMES if name.split(".")[0] in ADDED])
def test_a_pass_is_added_after_what_it_reads_and_before_who_reads_it(flow: str, name: str) -> None:
    before = load_flow(flow, Path())
    passes = before.extended([name], "test").passes
    assert [other for other in passes if other != name] == [other for other in before.passes if other != name]
    if name in before.passes:
        return
    index = passes.index(name)
    own = STAGES.index(name.split(".")[0])
    same = [STAGES.index(other.split(".")[0]) for other in passes]
    assert all(place <= own for place in same[:index])
    assert all(place >= own for place in same[index:])

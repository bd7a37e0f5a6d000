"""The whole pipeline, from a build file or from a module and arrays in memory."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codesign import deployment
from codesign.command import build_command
from codesign.design import Design
from codesign.directory import note_left, opened, publish, withdraw
from codesign.engine import Engine, Fields, Observer, PassRun, Quiet, decode, encode
from codesign.errors import InputError, did_you_mean
from codesign.flow import Flow, load_flow, plan, require_programs
from codesign.kept import Kept
from codesign.load.data.arrays import Data
from codesign.passes import Pass, Progress, stage
from codesign.report.files.document import document
from codesign.report.files.publish import publish_report
from codesign.setting import Setting, seen_from, settings
from codesign.shipped import read_toml
from codesign.sources import versions
from codesign.target import Target, load_target
from codesign.typed import parse

if TYPE_CHECKING:
    from torch import nn


@dataclass
class Noting:
    """An observer that has the build directory say which passes are left.

    Args:
        observer: Told as well.
        folder: The build directory.
        left: Names of the passes of the whole flow; those that are over are taken out.
    """

    observer: Observer
    folder: Path
    left: Sequence[str]

    def __post_init__(self) -> None:
        note_left(self.folder, self.left)

    def started(self, step: Pass, reason: str) -> Progress:
        """Hand it on."""
        return self.observer.started(step, reason)

    def finished(self, step: Pass, run: PassRun) -> None:
        """Write it down, and hand it on."""
        self.left = [name for name in self.left if name != step.name]
        note_left(self.folder, self.left)
        self.observer.finished(step, run)


@dataclass(frozen=True)
class BuildResult:
    """What came of a build.

    Args:
        directory: The build directory.
        passes: What became of each pass.
        design: Every field that was written.
        report: The content of ``report.json``; None if the flow was stopped before its report.
    """

    directory: Path
    passes: list[PassRun]
    design: Design = field(repr=False)
    report: dict[str, Any] | None = field(repr=False)

    @property
    def failures(self) -> list[str]:
        """Budgets and checks that failed."""
        return [] if self.report is None else list(self.report["failures"])


@dataclass(frozen=True)
class _BuildFile:
    """The keys of a build file outside its stage tables."""

    name: str
    target: str = "vu13p-l1t"
    flow: str = "hls4ml"
    seed: int = 0
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Request:
    """One build, ready to be planned."""

    out: Path
    target: Target
    flow: Flow
    settings: Sequence[Setting]
    seed: int
    until: str | None = None
    force: Sequence[str] = ()
    given: Mapping[str, object] = field(default_factory=dict[str, object])
    command: str | None = None
    name: str = ""


def build_file(
    path: Path,
    out: Path | None = None,
    target: str | None = None,
    flow: str | None = None,
    set_options: Sequence[Setting] = (),
    seed: int | None = None,
    until: str | None = None,
    force: Sequence[str] = (),
    also: Sequence[str] = (),
    observer: Observer | None = None,
) -> BuildResult:
    """Build what a TOML file describes.

    Args:
        path: The build file.
        out: Build directory; ``build/NAME`` if None.
        target: Shipped name or path of a TOML file, instead of the build file's.
        flow: Likewise.
        set_options: Settings that win over the build file's.
        seed: Seed instead of the build file's.
        until: Pass or stage to stop after.
        force: Passes or stages to run even if nothing changed.
        also: Passes to run beside the flow's and the build file's own.
        observer: Told what happens.

    Raises:
        CodesignError: Bad input, a failing tool, a defect; the message says where and what to do.
    """
    request = _requested(path, target, flow, set_options, also)
    there = [seen_from(setting, request.flow, path.parent) for setting in set_options]
    request = replace(
        request,
        out=out or request.out,
        seed=request.seed if seed is None else seed,
        until=until,
        force=force,
        command=build_command(path, target, flow, there, seed, also),
    )
    return _run(request, observer or Quiet())


def planned(
    path: Path, target: str | None = None, flow: str | None = None, set_options: Sequence[Setting] = ()
) -> tuple[list[Pass], Target]:
    """The passes of a build file, and its target; nothing is run.

    Args:
        path: The build file.
        target: Shipped name or path of a TOML file, instead of the build file's.
        flow: Likewise.
        set_options: Settings that win over the build file's.

    Raises:
        InputError: The build file does not allow a plan.
    """
    request = _requested(path, target, flow, set_options)
    steps = plan(request.flow, request.settings, ("target",))
    require_programs(steps)
    return steps, request.target


def _requested(
    path: Path,
    target: str | None,
    flow: str | None,
    set_options: Sequence[Setting] = (),
    also: Sequence[str] = (),
) -> _Request:
    """What a build file asks for, and what is given in its place."""
    table = read_toml(path)
    head = {key: value for key, value in table.items() if not isinstance(value, dict)}
    known = parse(_BuildFile, head, str(path))
    if not known.name.replace("-", "").replace("_", "").isalnum():
        raise InputError(f"{path}, option 'name'", repr(known.name), "letters, digits, - and _")
    folder = path.resolve().parent
    own = settings({key: value for key, value in table.items() if isinstance(value, dict)}, str(path), folder)
    here = Path.cwd()
    chosen = load_flow(flow, here) if flow else load_flow(known.flow, folder)
    chosen = chosen.reading([".".join(setting.key.split(".")[:2]) for setting in (*own, *set_options)])
    return _Request(
        out=Path("build") / known.name,
        target=load_target(target, here) if target else load_target(known.target, folder),
        flow=chosen.extended(known.also, f"{path}, also").extended(also, "--also"),
        settings=[*own, *set_options],
        seed=known.seed,
        name=known.name,
    )


def build(
    model: "nn.Module | Path | str",
    data: Data,
    target: str = "vu13p-l1t",
    flow: str = "hls4ml",
    out: Path | str = "build/model",
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    until: str | None = None,
    force: Sequence[str] = (),
    also: Sequence[str] = (),
    observer: Observer | None = None,
    preprocess: "nn.Module | Callable[..., object] | None" = None,
) -> BuildResult:
    """Build a torch module in memory, or an ONNX file.

    Args:
        model: A trained module, or the path of an ONNX file.
        data: Its data.
        target: Shipped name, or path of a TOML file.
        flow: Likewise; its ``load`` passes are left out.
        out: Build directory.
        options: Options by ``stage.option`` or ``stage.method.option``, such as
            ``{"allocate.budgets.bops_campos": 350_000}``.
        seed: For everything random.
        until: Pass or stage to stop after.
        force: Passes or stages to run even if nothing changed.
        also: Passes to run beside the flow's, such as ``("sensitivity.hutchinson",)``.
        observer: Told what happens.
        preprocess: A step before the network that becomes part of it: a torch module without parameters, or a numpy
            function of the words that the trigger sends.

    Raises:
        CodesignError: Bad input, a failing tool, a defect; the message says where and what to do.
    """
    from torch import nn

    from codesign.load.onnx import fields_from_file
    from codesign.load.torch import graph_for

    of_file = isinstance(model, str | Path)
    wanted: tuple[tuple[object, type], ...] = ((model, nn.Module), (data, Data))
    for value, kind in wanted[of_file:]:
        if not isinstance(value, kind):  # pyright: ignore[reportUnnecessaryIsInstance]  (callers may be untyped)
            raise InputError("codesign.build", f"a {type(value).__name__}", f"an instance of {kind.__name__}")
    dataset = data.dataset()
    if isinstance(model, str | Path):
        if preprocess is not None:
            raise InputError(
                "codesign.build, preprocess", "a step before an ONNX file", "a torch module", "put it into it"
            )
        loaded = fields_from_file(Path(model), dataset)
    else:
        graph, notices = graph_for(model, dataset, preprocess)
        loaded: dict[str, object] = {"graph": graph, "notices": notices}
    here = Path.cwd()
    whole = load_flow(flow, here).extended(also, "also")
    rest = Flow(whole.name, whole.summary, tuple(n for n in whole.passes if stage(n) != "load"), whole.options)
    given = [Setting(key, value, f"options[{key!r}]", here, explicit=True) for key, value in (options or {}).items()]
    fields = {"dataset": dataset, **loaded}
    request = _Request(Path(out), load_target(target, here), rest, given, seed, until, force, fields)
    return _run(request, observer or Quiet())


def _run(request: _Request, observer: Observer) -> BuildResult:
    if not 0 <= request.seed < 2**31:
        raise InputError("seed", f"{request.seed}", "0 to 2147483647")
    steps = plan(request.flow, request.settings, ("target", *request.given))
    names = [step.name for step in steps]
    if request.until is not None:
        chosen = _named(request.until, names, "--until")
        steps = steps[: names.index(chosen[-1]) + 1]
    require_programs(steps)
    force = frozenset(name for wanted in request.force for name in _named(wanted, names, "--force"))
    building = [step for step in steps if stage(step.name) != deployment.STAGE]
    formats = [step for step in steps if stage(step.name) == deployment.STAGE]
    with opened(request.out.absolute()) as store:
        withdraw(request.out)
        engine = Engine(store, request.seed, Noting(observer, request.out, names), force)
        fields = encode(Design({"target": request.target, **request.given}), store)
        fields, runs = engine.run(building, fields, later=formats)
        publish(request.out, store, fields.get("artifacts", {}))
        report = None
        if "report" in fields:
            report = document(fields, runs, _environment(request, fields, steps))
            own = [setting for setting in request.settings if stage(setting.key) == deployment.STAGE]
            Kept(fields, own, request.seed).write(request.out)
            publish_report(request.out, report)
            if formats:  # the build is finished, whatever becomes of them
                made = deployment.make(request.out, engine, formats, fields, report)
                report, fields, runs = made.report, made.fields, [*runs, *made.passes]
    return BuildResult(request.out, runs, decode(fields, store), report)


def _named(wanted: str, names: Sequence[str], where: str) -> list[str]:
    """The passes of a plan that a pass or stage name means.

    Raises:
        InputError: None is.
    """
    found = [name for name in names if wanted in (name, stage(name))]
    if not found:
        known = {*names, *map(stage, names)}
        raise InputError(f"{where} {wanted!r}", "no such pass in this flow", "", did_you_mean(wanted, known))
    return found


def _environment(request: _Request, fields: Fields, steps: Sequence[Pass]) -> Fields:
    """What a report says about how it was made."""
    used = [name for step in steps for name in step.distributions]
    return {
        "versions": versions(used),
        "platform": platform.platform(),
        "seed": request.seed,
        "command": request.command,
        "name": request.name,
        "target": request.target.name,
        "firmware_target": fields["target"]["name"],
        "flow": request.flow.name,
    }

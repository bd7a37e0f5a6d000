"""docs/reference/ops.md lists every operation, as the code has it."""

from collections import defaultdict
from pathlib import Path

from codesign.export.writers.qonnx import Writer
from codesign.fixed import Fixed
from codesign.ops import operations
from codesign.ops.op import Rewritten
from codesign.transpile.firmware.allowed import Bound, anything, made_by
from codesign.transpile.firmware.backends import BACKENDS, BackendName, IoType
from tests.networks import STAGES, Plan, build_network

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
PAGE, MATRIX = REFERENCE / "ops.md", REFERENCE / "hls4ml.md"
INTERFACES: tuple[IoType, ...] = ("io_parallel", "io_stream")


def nodes() -> dict[str, list[str]]:
    """ONNX nodes by kind of operation, as they are written for networks of every stage."""
    found: dict[str, set[str]] = defaultdict(set)
    for stage in STAGES:
        for rank, flags, end in ((1, (True,) * 3, "sum"), (2, (False,) * 3, "mean")):
            network = build_network(Plan(rank, (stage,), end, flags, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4))
            kinds = {node.name: node.op.kind for node in network.graph.nodes}
            for node in Writer(network.quantized).write().graph.node:
                own = next((name for name in (node.name, node.name.rpartition(".")[0]) if name in kinds), None)
                if own is not None and node.op_type != "Quant":
                    found[kinds[own]].add(node.op_type)
    return {kind: sorted(types) for kind, types in found.items()}


def rows() -> list[str]:
    """The table's rows."""
    written = nodes()
    made: list[str] = []
    for kind, op in sorted(operations().items()):
        forms = ", ".join(f"`{target}`" for target in op.torch_targets)
        if issubclass(op, Rewritten):
            made.append(f"| `{kind}` | {forms} | folded or taken off | no need | no need |")
            continue
        onnx = ", ".join(written[kind])
        made.append(f"| `{kind}` | {forms} | {onnx} | {' | '.join(cell('Vitis', way, kind) for way in INTERFACES)} |")
    return made


def cell(backend: BackendName, io_type: IoType, kind: str) -> str:
    """What a backend makes of an operation."""
    bound: Bound | None = made_by(backend, io_type).get(kind)
    if bound is None:
        return "refused"
    proof = "not checked" if BACKENDS[backend].vendors else "exact"
    return proof if bound is anything else f"{proof}: {str(bound.__doc__).rstrip('.').lower()}"


def matrix() -> list[str]:
    """Rows by operation, columns by backend and interface."""
    kinds = [kind for kind, op in sorted(operations().items()) if not issubclass(op, Rewritten)]
    columns = [(backend, io_type) for backend in BACKENDS for io_type in INTERFACES]
    return [f"| `{kind}` | {' | '.join(cell(*column, kind) for column in columns)} |" for kind in kinds]


def listed(page: Path) -> list[str]:
    """The rows of a page's table of operations."""
    known = operations()
    lines = page.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("| `") and line.split("`")[1] in known]


def test_the_matrix_lists_every_operation() -> None:
    assert listed(MATRIX) == matrix()


def test_the_page_lists_every_operation() -> None:
    """To renew it: ``python -m tests.test_ops_reference``."""
    assert listed(PAGE) == rows()


if __name__ == "__main__":
    for page, table in ((PAGE, rows()), (MATRIX, matrix())):
        old = listed(page)
        lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line not in old]
        place = next(index for index, line in enumerate(lines) if line.startswith("| operation")) + 2
        page.write_text("\n".join([*lines[:place], *table, *lines[place:]]) + "\n", encoding="utf-8")

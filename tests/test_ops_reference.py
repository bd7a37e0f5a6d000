"""docs/reference/ops.md lists every operation, as the code has it."""

from collections import defaultdict
from pathlib import Path

from codesign.export._writer import Writer
from codesign.fixed import Fixed
from codesign.ops import operations
from codesign.ops.op import Rewritten
from codesign.transpile._allowed import ALLOWED, anything
from tests.networks import STAGES, Plan, build_network

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "ops.md"


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
        bound = ALLOWED.get(kind)
        parallel = "refused" if bound is None else "exact"
        if bound not in (None, anything):
            parallel += f": {str(bound.__doc__).rstrip('.').lower()}"
        onnx = ", ".join(written[kind])
        made.append(f"| `{kind}` | {forms} | {onnx} | {parallel} | not checked: not offered |")
    return made


def test_the_page_lists_every_operation() -> None:
    """To renew it: ``python -m tests.test_ops_reference``."""
    listed = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert listed == rows()


if __name__ == "__main__":
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if not line.startswith("| `")]
    place = next(index for index, line in enumerate(lines) if line.startswith("|---")) + 1
    PAGE.write_text("\n".join([*lines[:place], *rows(), *lines[place:]]) + "\n", encoding="utf-8")

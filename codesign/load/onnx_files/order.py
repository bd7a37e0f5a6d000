"""Which nodes of an ONNX file an output needs, in an order in which they can be computed."""

from collections import deque

import onnx

from codesign.errors import InputError, did_you_mean
from codesign.load.onnx_files.file import OnnxFile


def needed_nodes(file: OnnxFile, output: str) -> list[onnx.NodeProto]:
    """The nodes that an output depends on, each after those that it reads, otherwise as the file has them.

    Raises:
        InputError: A cycle, a tensor that nothing writes, subgraphs, or no such output.
    """
    graph = file.model.graph
    writer = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    given = {*file.initializers, *(info.name for info in graph.input)}
    if output not in writer:
        found = f"no node writes {output!r}"
        raise InputError(f"{file.path}, output", found, "", did_you_mean(output, writer) if output else "")
    needed: set[int] = set()
    waiting = [writer[output]]
    while waiting:
        index = waiting.pop()
        if index in needed:
            continue
        needed.add(index)
        for name in graph.node[index].input:
            if name in writer:
                waiting.append(writer[name])
            elif name and name not in given:
                where = f"{file.path}, node {graph.node[index].name or graph.node[index].output[0]!r}"
                raise InputError(where, f"reads {name!r}, which nothing writes", "a whole graph")
    return _sorted(file, sorted(needed), writer)


def _sorted(file: OnnxFile, needed: list[int], writer: dict[str, int]) -> list[onnx.NodeProto]:
    """Topological order (Kahn's algorithm), the file's own wherever that is one."""
    nodes = file.model.graph.node
    before = {index: {writer[name] for name in nodes[index].input if name in writer} for index in needed}
    if all(earlier < index for index, found in before.items() for earlier in found):
        return [nodes[index] for index in needed]
    after: dict[int, list[int]] = {index: [] for index in needed}
    for index, found in before.items():
        for earlier in found:
            after[earlier].append(index)
    missing = {index: len(found) for index, found in before.items()}
    ready = deque(index for index in needed if not missing[index])
    order: list[int] = []
    while ready:
        order.append(ready.popleft())
        for index in after[order[-1]]:
            missing[index] -= 1
            if not missing[index]:
                ready.append(index)
    if len(order) < len(needed):
        names = [nodes[index].name or nodes[index].output[0] for index in needed if missing[index]]
        found = f"a cycle through {', '.join(map(repr, names[:4]))}{', ...' if len(names) > 4 else ''}"
        raise InputError(str(file.path), found, "nodes that don't depend on themselves")
    return [nodes[index] for index in order]

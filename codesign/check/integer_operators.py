"""QuantizeLinear and DequantizeLinear in the place of QONNX's quantizers."""

from collections.abc import Iterator

from codesign.check._finding import Finding, Rule
from codesign.check._subject import Subject


class IntegerOperators(Rule):
    """Files in the QDQ or QCDQ format, which hls4ml does not read."""

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """One per file."""
        if pairs := sum(node.op_type == "QuantizeLinear" for node in subject.nodes):
            kind = "QCDQ" if any(node.op_type == "Clip" for node in subject.nodes) else "QDQ"
            found = f"{pairs} QuantizeLinear nodes ({kind})"
            yield Finding(
                "note", "the file", found, "Quant nodes for hls4ml", "read as fixed point, and written as QONNX"
            )

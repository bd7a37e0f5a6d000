"""Operators that no layer can be made of."""

from collections.abc import Iterator
from dataclasses import replace

from codesign.check._finding import Finding, Rule
from codesign.check._subject import Subject, refusal
from codesign.errors import InputError


class Operators(Rule):
    """Every node of a file whose operator or domain is not supported, not only the first."""

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """One per node."""
        from codesign.load.onnx_files.file import label
        from codesign.load.onnx_files.importer import check_operator

        for node in subject.nodes:
            try:
                check_operator(node)
            except InputError as error:
                yield replace(refusal(error), where=label(node))

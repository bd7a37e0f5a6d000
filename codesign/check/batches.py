"""A batch size that is fixed in the file."""

from collections.abc import Iterator

from codesign.check._finding import Finding, Rule
from codesign.check._subject import Subject


class Batches(Rule):
    """Inputs whose first axis has a length."""

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """One per input."""
        for info in subject.file.inputs() if subject.file else ():
            dims = info.type.tensor_type.shape.dim
            if dims and dims[0].HasField("dim_value"):
                found = f"batch size {dims[0].dim_value}"
                yield Finding("note", info.name, found, "any batch size", "made symbolic")

"""What a vendor's project was made from: a file in it, which its script puts beside the reports when all went well."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from codesign.errors import InputError
from codesign.store import read_json
from codesign.target import Target
from codesign.typed import adapter

#: The file, in the project's folder and, once the tool has finished, in its folder of reports.
MANIFEST, REPORTS = "codesign.json", "reports"
#: Version of the file: raised when a key is taken away or changes its meaning.
SCHEMA = "codesign-vendor/1"


@dataclass(frozen=True)
class VendorProject:
    """A vendor's project.

    Args:
        made_by: The pass that made it, and that reads its reports.
        source: The artifact that it was made of.
        digest: That artifact's.
        top: The top module or function.
        target: What it is for.
        schema: Version of this record.
    """

    made_by: str
    source: str
    digest: str
    top: str
    target: Target
    schema: str = field(default=SCHEMA)

    def write(self, folder: Path) -> None:
        """Write the file into a project's folder."""
        (folder / MANIFEST).write_bytes(adapter(VendorProject).dump_json(self, indent=1) + b"\n")

    @classmethod
    def read(cls, path: Path) -> "VendorProject":
        """Read the file.

        Raises:
            InputError: It is none, or of another version of codesign.
        """
        found = read_json(path)
        schema = cast("dict[str, Any]", found).get("schema") if isinstance(found, dict) else None
        if schema != SCHEMA:
            said = f"schema {schema!r}" if schema else "no project of codesign's"
            raise InputError(str(path), said, SCHEMA, "use the version of codesign that made the project")
        try:
            return cast(VendorProject, adapter(cls).validate_python(found))
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise InputError(str(path), f"damaged at {where!r}", "the file as codesign wrote it") from None

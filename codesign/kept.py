"""The design that a build ended with, kept in its directory: what formats for deployment are made of, later on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from codesign.directory import CACHE, DESIGN
from codesign.engine import Fields
from codesign.errors import InputError
from codesign.setting import Setting
from codesign.store import Store, digest_json, read_json, write_whole
from codesign.typed import adapter

#: Version of the file: raised when a key is taken away or changes its meaning.
SCHEMA = "codesign-design/2"


@dataclass(frozen=True)
class Kept:
    """The end of a build.

    Args:
        fields: The design as JSON, its arrays and artifacts in the store.
        settings: What the build file says of formats.
        seed: The build's seed.
    """

    fields: Fields
    settings: Sequence[Setting] = ()
    seed: int = 0

    def write(self, folder: Path) -> None:
        """Write it into a build directory, with the SHA-256 of itself."""
        settings = [replace(setting, explicit=False) for setting in self.settings]
        record = {**vars(self), "schema": SCHEMA, "settings": adapter(list[Setting]).dump_python(settings, mode="json")}
        # In their own order: which entry of a collection is the first can matter.
        write_whole(folder / CACHE / DESIGN, json.dumps({**record, "sha256": digest_json(record)}).encode())

    @classmethod
    def read(cls, folder: Path, store: Store) -> "Kept":
        """The end of the build in a directory.

        Raises:
            InputError: There is none, it is damaged, or something that it names is gone from the store.
        """
        path = folder / CACHE / DESIGN
        found = read_json(path)
        record = cast(dict[str, Any], found) if isinstance(found, dict) else {}
        digest = record.pop("sha256", None)
        if not record or digest != digest_json(record) or record.pop("schema") != SCHEMA:
            said = "damaged, or of another version of codesign" if path.is_file() else "not there"
            raise InputError(str(path), said, "the design of a finished build", "build again")
        if store.missing(record["fields"]):
            raise InputError(str(folder), "files of the build are gone from its cache", "", "build again")
        return cls(**{**record, "settings": adapter(list[Setting]).validate_python(record["settings"])})

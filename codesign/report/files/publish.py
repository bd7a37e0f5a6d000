"""The files of a report: for programs, for people in a terminal or a pull request, and for people in a meeting."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codesign.directory import REPORT_HTML, REPORT_JSON, REPORT_MD
from codesign.report.files.document import markdown
from codesign.report.files.page import page
from codesign.store import write_whole


def publish_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Write the report, ``report.json`` last: it marks the build as finished.

    Args:
        folder: The build directory.
        report: The content of ``report.json``.
    """
    write_whole(folder / REPORT_MD, markdown(report).encode())
    write_whole(folder / REPORT_HTML, page(report).encode())
    write_whole(folder / REPORT_JSON, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())

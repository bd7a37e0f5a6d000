"""The loader of the public jet set, against a small OpenML server on the loopback interface."""

import gzip
import hashlib
import importlib
import json
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

JETS = Path(__file__).parents[2] / "examples" / "jets"
ARFF = "/data/v1/download/22102255/hls4ml_lhc_jets_hlf.arff"
API = "/api/v1/json/data"
COLUMNS = [  # not in the order of the sample, to see that they are put in order
    *("multiplicity", "zlogz", "c1_b0_mmdt", "c1_b1_mmdt", "c1_b2_mmdt", "c2_b1_mmdt", "c2_b2_mmdt", "d2_b1_mmdt"),
    *("d2_b2_mmdt", "d2_a1_b1_mmdt", "d2_a1_b2_mmdt", "m2_b1_mmdt", "m2_b2_mmdt", "n2_b1_mmdt", "n2_b2_mmdt"),
    "mass_mmdt",
]
LABELS = ["t", "g", "w", "z", "q", "g"]
VALUES = np.random.default_rng(3).normal(size=(6, 16))


class Server:
    """Serves OpenML's answers for one set; `pages` may be changed, `asked` lists the paths of the requests."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes | int] = {}
        self.asked: list[str] = []
        self.zipped = True
        self.set_data(COLUMNS, VALUES, LABELS)
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in http.server)
                """Stays silent."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Sends a page, or its error code."""
        self.asked.append(request.path)
        page = self.pages.get(request.path, 404)
        if isinstance(page, int):
            request.send_error(page)
            return
        zipped = self.zipped and "gzip" in request.headers.get("Accept-Encoding", "")
        request.send_response(200)
        if zipped:
            request.send_header("Content-Encoding", "gzip")
        request.end_headers()
        request.wfile.write(gzip.compress(page) if zipped else page)

    def set_data(self, columns: list[str], values: np.ndarray, labels: list[str], classes: str = "g,q,t,w,z") -> None:
        """Pages for a set with these columns, values [jets, columns] (NaN is a missing one) and labels [jets]."""
        header = [f"@ATTRIBUTE {name} REAL" for name in columns] + [f"@ATTRIBUTE class {{{classes}}}"]
        rows = [
            ",".join(["?" if np.isnan(value) else repr(float(value)) for value in row] + [label])
            for row, label in zip(values, labels, strict=True)
        ]
        arff = "\n".join(["@RELATION hls4ml_lhc_jets_hlf", "", *header, "", "@DATA", *rows, ""]).encode()
        description = {
            **{"id": "42468", "name": "hls4ml_lhc_jets_hlf", "version": "1", "description": "LHC jets"},
            **{"format": "ARFF", "status": "active", "default_target_attribute": "class"},
            **{"file_id": "22102255", "url": f"https://api.openml.org{ARFF}"},
            "md5_checksum": hashlib.md5(arff).hexdigest(),
        }
        kinds = [(name, "numeric") for name in columns] + [("class", "nominal")]
        features = [
            {
                **{"index": str(index), "name": name, "data_type": kind, "number_of_missing_values": "0"},
                **{"is_target": str(name == "class").lower(), "is_ignore": "false", "is_row_identifier": "false"},
            }
            for index, (name, kind) in enumerate(kinds)
        ]
        quality = [{"name": "NumberOfInstances", "value": f"{len(labels)}.0"}]
        answers: dict[str, Any] = {
            f"{API}/42468": {"data_set_description": description},
            f"{API}/features/42468": {"data_features": {"feature": features}},
            f"{API}/qualities/42468": {"data_qualities": {"quality": quality}},
        }
        self.pages = {ARFF: arff}
        self.pages.update({path: json.dumps(answer).encode() for path, answer in answers.items()})

    def close(self) -> None:
        """Frees the port."""
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def openml(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The loader; connections other than to the loopback interface fail, and retries do not wait."""
    pytest.importorskip("sklearn", reason='needs pip install "codesign[openml]"')
    connect = socket.create_connection

    def only_loopback(address: tuple[str, int], *args: Any, **options: Any) -> socket.socket:
        assert address[0] == "127.0.0.1", f"connects to {address}"
        return connect(address, *args, **options)

    def no_wait(seconds: float) -> None:
        pass

    monkeypatch.setattr(socket, "create_connection", only_loopback)
    monkeypatch.setattr("time.sleep", no_wait)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.syspath_prepend(str(JETS))
    return importlib.import_module("openml")


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def load(openml: ModuleType, folder: Path, url: str) -> int:
    """Exit code of the command with its cache and output in `folder`."""
    return openml.main(["--out", str(folder / "jets.npz"), "--cache", str(folder / "cache"), "--server", url])


@pytest.mark.parametrize("zipped", [True, False])
def test_set_is_written_like_the_shipped_sample(
    openml: ModuleType, server: Server, tmp_path: Path, zipped: bool
) -> None:
    server.zipped = zipped
    assert load(openml, tmp_path, server.url) == 0
    with np.load(JETS / "lhc_jets.npz") as shipped, np.load(tmp_path / "jets.npz") as found:
        assert found.files == shipped.files
        assert {key: found[key].dtype for key in found.files} == {key: shipped[key].dtype for key in shipped.files}
        for key in ("features", "classes"):
            np.testing.assert_array_equal(found[key], shipped[key])
        order = [COLUMNS.index(name) for name in shipped["features"]]
        np.testing.assert_array_equal(found["x"], VALUES[:, order].astype(np.float32))
        assert [str(shipped["classes"][label]) for label in found["y"]] == LABELS
    assert set(server.asked) == {f"{API}/42468", f"{API}/features/42468", f"{API}/qualities/42468", ARFF}


def test_second_run_reads_the_cache(openml: ModuleType, server: Server, tmp_path: Path) -> None:
    assert load(openml, tmp_path, server.url) == 0
    first, requests = (tmp_path / "jets.npz").read_bytes(), len(server.asked)
    server.pages = {}
    assert load(openml, tmp_path, server.url) == 0
    assert (tmp_path / "jets.npz").read_bytes() == first
    assert len(server.asked) == requests


def expect_error(openml: ModuleType, capsys: pytest.CaptureFixture[str], folder: Path, url: str, message: str) -> None:
    """Exit code 2, one line that says why, and no file."""
    assert load(openml, folder, url) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("openml.py: ")
    assert message in lines[0]
    assert [path.name for path in folder.iterdir() if path.name != "cache"] == []


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([*COLUMNS[:-1], "mass"], "missing ['mass_mmdt'], unknown ['mass']"),
        ([*COLUMNS, "tau21"], "missing [], unknown ['tau21']"),
    ],
)
def test_other_columns(
    openml: ModuleType,
    server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    columns: list[str],
    message: str,
) -> None:
    server.set_data(columns, np.ones((6, len(columns))), LABELS)
    expect_error(openml, capsys, tmp_path, server.url, message)


@pytest.mark.parametrize("value", [np.nan, 1e300])
def test_values_that_are_no_float32(
    openml: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], value: float
) -> None:
    values = VALUES.copy()
    values[[1, 4], COLUMNS.index("m2_b1_mmdt")] = value
    server.set_data(COLUMNS, values, LABELS)
    expect_error(openml, capsys, tmp_path, server.url, "missing, NaN or infinite: {'m2_b1_mmdt': 2}")


def test_unknown_class(openml: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.set_data(COLUMNS, VALUES, ["b", *LABELS[1:]], classes="b,g,q,t,w,z")
    expect_error(openml, capsys, tmp_path, server.url, "unknown classes ['b']")


@pytest.mark.parametrize("path", [f"{API}/42468", ARFF])
@pytest.mark.parametrize("page", [404, 412, 500, b"<html>maintenance</html>"])
def test_answers_that_are_not_the_set(
    openml: ModuleType,
    server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    path: str,
    page: bytes | int,
) -> None:
    server.pages[path] = page
    expect_error(openml, capsys, tmp_path, server.url, "cannot load OpenML set 42468: ")


def test_no_network(openml: ModuleType, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        expect_error(openml, capsys, tmp_path, url, "URLError")


def test_bad_arguments_and_missing_package(
    openml: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expect_error(openml, capsys, tmp_path, "ftp://127.0.0.1", "--server must start with http:// or https://")
    assert openml.main(["--out", str(tmp_path / "none" / "jets.npz")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    expect_error(openml, capsys, tmp_path, "http://127.0.0.1", 'pip install "codesign[openml]"')

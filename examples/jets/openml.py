"""Loads the public set "hls4ml LHC jets HLF": `python examples/jets/openml.py --out hls4ml_lhc_jets.npz`.

OpenML id 42468, 830,000 jets; written with the keys, feature order and class order of lhc_jets.npz.
"""

import argparse
import socket
import sys
import urllib.request
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray

from jet_physics import CLASSES, FEATURES, JetError, extra, new_file, save_sample

DATA_ID = 42468
TARGET = "class"
OPENML = "openml.org"
TIMEOUT = 60.0  # seconds without an answer


class Mirror(urllib.request.BaseHandler):
    """Sends every request for OpenML to another server; the paths stay the same."""

    def __init__(self, server: str) -> None:
        """Takes the address of the server, such as http://127.0.0.1:8080."""
        self.server = server.rstrip("/")

    def default_open(self, request: urllib.request.Request) -> HTTPResponse | None:
        """Answers in place of the handler of the protocol; None leaves the request to that one."""
        parts = urlsplit(request.full_url)
        host = parts.hostname or ""
        if host != OPENML and not host.endswith("." + OPENML):
            return None
        path = urlunsplit(("", "", parts.path, parts.query, ""))
        there = urllib.request.Request(self.server + path, headers=request.headers)
        return self.parent.open(there, timeout=TIMEOUT)


@contextmanager
def network(server: str | None) -> Generator[None]:
    """Downloads time out, and come from `server` if there is one."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    if server:
        urllib.request.install_opener(urllib.request.build_opener(Mirror(server)))
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
        if server:
            urllib.request.install_opener(urllib.request.build_opener())


def download(cache: Path | None, server: str | None) -> tuple[list[str], NDArray[np.float64], list[str | None]]:
    """Fetches the set, or takes it from the cache.

    Args:
        cache: Folder of the downloads; None for scikit-learn's own, in the home folder.
        server: Address of a mirror of OpenML, or None.

    Returns:
        Names of the columns, their values [jets, columns], and the class of each jet [jets].
    """
    datasets = extra("sklearn.datasets", '"codesign[openml]"')
    try:
        with network(server), warnings.catch_warnings():
            for retry in ("A network error", "Invalid cache", "Downloaded file"):  # the last try raises
                warnings.filterwarnings("ignore", retry)
            data_home = str(cache) if cache else None
            options = {"target_column": TARGET, "as_frame": False, "parser": "liac-arff"}  # this parser needs no pandas
            found = datasets.fetch_openml(data_id=DATA_ID, data_home=data_home, **options)
    except Exception as error:  # of the network, the cache, JSON, gzip or ARFF: each has exceptions of its own
        raise JetError(f"cannot load OpenML set {DATA_ID}: {type(error).__name__}: {error}") from error
    return list(found.feature_names), np.asarray(found.data, np.float64), list(found.target)


def convert(
    columns: Sequence[str], values: NDArray[np.float64], labels: Sequence[str | None]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Checks the set and puts it in the order of the sample.

    Args:
        columns: Names of the columns.
        values: Their values [jets, columns].
        labels: Class of each jet [jets].

    Returns:
        Features [jets, 16] and class indices [jets].
    """
    missing = [name for name in FEATURES if name not in columns]
    unknown = [name for name in columns if name not in FEATURES]
    if missing or unknown:
        raise JetError(f"the columns are not the 16 features: missing {missing}, unknown {unknown}")
    strangers = sorted({str(label) for label in labels if label not in CLASSES})
    if strangers:
        raise JetError(f"unknown classes {strangers}; there should be {list(CLASSES)}")
    if len(labels) == 0:
        raise JetError("the set has no jets")
    with np.errstate(over="ignore"):  # to infinity, which is reported
        x = values[:, [columns.index(name) for name in FEATURES]].astype(np.float32)
    bad = ~np.isfinite(x)
    if bad.any():
        counts = {name: int(count) for name, count in zip(FEATURES, bad.sum(0), strict=True) if count}
        raise JetError(f"values that are missing, NaN or infinite: {counts}")
    return x, np.array([CLASSES.index(str(label)) for label in labels], np.uint8)


def main(arguments: Sequence[str] | None = None) -> int:
    """Loads, converts and saves the set; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, help="the npz file to write")
    parser.add_argument("--cache", type=Path, help="folder of the downloads (default: scikit-learn's, in your home)")
    parser.add_argument("--server", help="a mirror of openml.org, such as http://127.0.0.1:8080")
    options = parser.parse_args(arguments)
    try:
        if not options.out.parent.is_dir():
            raise JetError(f"--out: there is no folder {options.out.parent}")
        if options.server and not options.server.startswith(("http://", "https://")):
            raise JetError(f"--server must start with http:// or https://, but is {options.server}")
        with new_file(options.out) as file:
            x, y = convert(*download(options.cache, options.server))
            save_sample(file, x, y)
    except JetError as error:
        print(f"openml.py: {error}", file=sys.stderr)
        return 2
    print(f"{len(y)} jets in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One thread for torch: on a busy machine, small networks wait for more."""

from collections.abc import Iterator

import pytest

from codesign.torch_forward import threads
from tests import strategies

assert strategies  # loads the profile of Hypothesis


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    with threads(1):
        yield

"""One token for all Rays of a test process, whose client keeps the first that it is given."""

import secrets
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def token() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        yield

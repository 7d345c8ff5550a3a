"""One lab for all its tests, since it takes seconds to start; each test arranges the policy that it needs."""

import os
from collections.abc import Iterator

import pytest
from lab.story import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The running lab."""
    if os.geteuid() != 0:
        pytest.fail("the lab makes network namespaces, which needs root")
    with Lab() as running:
        yield running

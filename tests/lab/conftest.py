"""One lab for all its tests, since it takes seconds to start; each test sets the policy that it needs."""

import os
from collections.abc import Iterator

import pytest
from lab.story import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab, with the partner's server entered as the gateway of Alice's address there."""
    if os.geteuid() != 0:
        pytest.fail("the lab makes network namespaces, which needs root")
    with Lab() as running:
        running.switch(True)
        running.set_gateway()
        yield running


@pytest.fixture
def switch_on(lab: Lab) -> None:
    """Users may have servers of their own."""
    lab.switch(True)


@pytest.fixture
def switch_off(lab: Lab) -> None:
    """They may not; the gateway that was entered stays."""
    lab.switch(False)


@pytest.fixture
def domain_gateway(lab: Lab) -> Iterator[None]:
    """All mail of the organisation passes the relay."""
    lab.set_domain_gateway()
    yield
    lab.clear_domain_gateway()

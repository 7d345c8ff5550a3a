"""Every method of every API, asked for at random by its description: nothing fails, and each answer is as described.

`make fuzz` does the same for longer, with other numbers each time round.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from api.fuzzing import Fuzzing
from api.own_site import ALICE, BOB, EVERY_SCOPE, PARTNER, OwnApi, own_api
from api.right_requests import PROVEN, Stock
from outgate import clock
from outgate.api.surfaces import SURFACES
from outgate.directory import users
from outgate.node_id import node_id
from outgate.operations import domain_proof_operations
from outgate.sendas import proven_domains, verification
from outgate.store.engine import write
from outgate.tls_reports import session_rows
from outgate.tls_reports.utc_days import last_whole
from outgate.transport_security.tls_session import AppliedPolicy, PolicyType, TlsSession
from way.place import GATEWAY_PASSWORD, PASSWORD, Site
from web.links import opened

EXAMPLES = 1  # of each method, as described or otherwise; twenty of both by `make fuzz`
SERVED = "alice@second.example"  # by a gateway that works; one that does not is tried for seconds
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))


@pytest_asyncio.fixture
async def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OwnApi]:
    monkeypatch.setattr(verification, "CODES_OF_ACCOUNT", "1000000/1hour")
    async with own_api(tmp_path, mail=1) as place:
        await place.site.add_external(ALICE, SERVED, place.api.partner.port)
        await asyncio.to_thread(_note_a_session, place.site)
        await place.api.operate(lambda op: domain_proof_operations.begin(op, PROVEN))
        await place.api.operate(lambda op: proven_domains.settle_check(op.connection, PROVEN, True, op.now))
        place.api.partner.credentials = {PARTNER: GATEWAY_PASSWORD, SERVED: GATEWAY_PASSWORD}
        yield place


@pytest.mark.measures
@pytest.mark.timeout(SECONDS + 120)
# The server is in this process, and draws when it likes: also while a request is made up.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning")
async def test_no_answer_is_a_fault_of_ours_or_other_than_described(own: OwnApi) -> None:
    with requests.Session() as session:
        fuzzing = await _fuzzing(own, session)
        try:
            faults = await asyncio.to_thread(_faults, fuzzing)
        finally:
            _tell(fuzzing.answers)
    assert not faults, "\n\n".join(faults)
    assert fuzzing.answers.keys() == {method.id for surface in SURFACES for method in surface.methods}
    assert [method for method, statuses in fuzzing.answers.items() if not {200, 204} & statuses.keys()] == []


def _tell(answers: Mapping[str, Counter[int]]) -> None:
    """How often each method was answered with which status."""
    for method, statuses in [*answers.items(), ("together", sum(answers.values(), Counter()))]:
        print(f"{method:45}", *(f"{status}: {count}" for status, count in sorted(statuses.items())))


async def _fuzzing(own: OwnApi, session: requests.Session) -> Fuzzing:
    [first, *_] = (await own.told("GET", "queue/recipients"))["items"]
    known = {
        "queue": [first["queue"], "mx:recipient.example", "domain-gateway"],
        "user": ["me", ALICE, BOB],
        "address": [PARTNER],
        "sender": [PARTNER, ALICE],
        "recipient": ["carol@recipient.example"],
        "domain": ["example.com", "recipient.example"],
        "userKey": [BOB],
        "customer": ["my_customer"],
        "orgUnitPath": ["Sales", "/"],
    }
    session.trust_env = False
    session.verify = str(own.site.authority.ca_file)
    session.headers["Authorization"] = f"Bearer {await own.token(ALICE, EVERY_SCOPE)}"
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    addresses, node = (SERVED, PARTNER), node_id(own.site.data)
    given = (own.api.url, session, own.api.gateway, *addresses, node, key, lambda address: _code(own, address))
    stock = await asyncio.to_thread(Stock, *given)  # it asks the server, which is on this loop
    secrets = [GATEWAY_PASSWORD, PASSWORD, key[30:60], "Traceback"]
    return Fuzzing(own.api.url, session.verify, session, stock, known, secrets)


def _note_a_session(site: Site) -> None:
    """For yesterday's report on TLS."""
    with opened(site) as place, write(place.engine) as connection:
        session = TlsSession("recipient.example", AppliedPolicy(PolicyType.NONE, "recipient.example"))
        session_rows.add(connection, last_whole(clock.now()), "recipient.example", {session: 1})


def _code(own: OwnApi, address: str) -> str:
    """A new one."""
    with opened(own.site) as place, write(place.engine) as connection:
        alice = users.find(connection, ALICE)
        return verification.start(connection, place.vault, alice.id, address, clock.now()).code


def _faults(fuzzing: Fuzzing) -> list[str]:
    """Each once; it is printed as soon as it is found."""
    end, number, found = time.monotonic() + SECONDS, 1, list[str]()
    while number == 1 or time.monotonic() < end:
        until = end if SECONDS else float("inf")
        for surface in SURFACES:
            examples = 20 * EXAMPLES if SECONDS else EXAMPLES
            for fault in fuzzing.faults(surface, examples=examples, number=number, until=until):
                if fault not in found:
                    print(fault, flush=True)
                    found.append(fault)
        number += 1
    return found

"""Every method of every API, asked for at random by its description: nothing fails, and each answer is as described.

`make fuzz` does the same for longer, with other numbers each time round.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from api.fuzzing import Fuzzing
from api.own_site import ALICE, BOB, EVERY_SCOPE, PARTNER, OwnApi, own_api
from outgate.api.surfaces import SURFACES
from outgate.node_id import node_id
from way.place import GATEWAY_PASSWORD, PASSWORD

EXAMPLES = 1  # of each method, as described and otherwise
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))


@pytest_asyncio.fixture
async def own(tmp_path: Path) -> AsyncIterator[OwnApi]:
    async with own_api(tmp_path, mail=1) as place:
        yield place


@pytest.mark.measures
@pytest.mark.timeout(SECONDS + 120)
async def test_no_answer_is_a_fault_of_ours_or_other_than_described(own: OwnApi) -> None:
    [first, *_] = (await own.told("GET", "queue/recipients"))["items"]
    known = {
        "id": [first["id"]],
        "queue": [first["queue"], "mx:recipient.example", "domain-gateway"],
        "gateway": [first["queue"]],
        "user": ["me", ALICE, BOB],
        "address": [PARTNER],
        "sender": [PARTNER, ALICE],
        "recipient": ["carol@recipient.example"],
        "domain": ["example.com", "recipient.example"],
        "node": [node_id(own.site.data)],
        "userId": ["me", ALICE],
        "sendAsEmail": [PARTNER, ALICE],
        "userKey": [BOB],
        "customerId": ["my_customer"],
        "orgUnitPath": ["Sales"],
        "applicationName": ["admin"],
    }
    secrets = [GATEWAY_PASSWORD, PASSWORD, "Traceback"]
    fuzzing = Fuzzing(own.api.url, await own.token(ALICE, EVERY_SCOPE), str(own.site.authority.ca_file), known, secrets)
    faults = await asyncio.to_thread(_faults, fuzzing)
    fuzzing.close()
    print(f"{sum(fuzzing.answers.values())} answers: {dict(sorted(fuzzing.answers.items()))}")
    assert not faults, "\n\n".join(faults)
    assert fuzzing.answers[200] > 10


def _faults(fuzzing: Fuzzing) -> list[str]:
    end, number, found = time.monotonic() + SECONDS, 1, list[str]()
    while number == 1 or time.monotonic() < end:
        until = end if SECONDS else float("inf")
        for surface in SURFACES:
            examples = 20 * EXAMPLES if SECONDS else EXAMPLES
            found += fuzzing.faults(surface, examples=examples, number=number, until=until)
        number += 1
    return list(dict.fromkeys(found))

"""At its start a node makes sure that no other one alive has its id, such as that of a copied data directory: each
would give back what the other holds, and mail would leave twice. For databases that several nodes share.
"""

import asyncio
import secrets
from typing import Final

from sqlalchemy import Engine

from outgate import clock
from outgate.directory import nodes
from outgate.directory.nodes import HEARTBEAT
from outgate.node_id import NodeTaken
from outgate.store.engine import read, write

PATIENCE: Final = 1.5 * HEARTBEAT  # in which a live node gives a sign
_PAUSE: Final = 0.2


async def claim_name(engine: Engine, node: str) -> None:
    """Returns when the name is ours. Raises NodeTaken and store.engine.StoreUnavailable.

    What was seen a short while ago may be this very node before a crash: only who is alive gives another sign.
    """
    name = f"{node}start-{secrets.token_hex(4)}"
    with write(engine) as connection:
        before = nodes.seen(connection, node, clock.now())
        nodes.announce(connection, node, name, clock.now())
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE
    while before and loop.time() < until:
        await asyncio.sleep(_PAUSE)
        with read(engine) as connection:
            now = nodes.seen(connection, node, clock.now())
        if alive := sorted(other for other, at in now.items() if other != name and at != before.get(other)):
            raise NodeTaken(
                f"another server with this node's id is running ({alive[0]}); if this data directory is a copy of"
                " another node's, remove node.id from it and start again"
            )

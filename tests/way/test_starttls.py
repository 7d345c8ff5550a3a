"""STARTTLS at the real listener, with a client that sends its first command along with the end of its handshake."""

import asyncio
import socket
import ssl

from way.place import Site, running


async def test_a_command_in_the_handshakes_last_packet_is_not_taken_for_an_injected_one(site: Site) -> None:
    server = await running(site)
    try:
        assert await asyncio.to_thread(_first_command, site, b"") == b"250"
    finally:
        await server.stop()


async def test_a_command_in_the_clear_behind_starttls_ends_the_session(site: Site) -> None:
    server = await running(site)
    try:
        assert await asyncio.to_thread(_first_command, site, b"NOOP\r\n") == b"421"
    finally:
        await server.stop()


def _first_command(site: Site, behind: bytes) -> bytes:
    """The code that answers EHLO, sent in one packet with the client's last message of the handshake."""
    inbound, outbound = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = site.client_context().wrap_bio(inbound, outbound, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", site.starttls), timeout=10) as raw:
        raw.recv(1000)
        raw.sendall(b"EHLO client.example\r\n")
        raw.recv(1000)
        raw.sendall(b"STARTTLS\r\n" + behind)
        if not (said := raw.recv(1000)).startswith(b"220") or b"421" in said:
            return said[:3] if said.startswith(b"421") else b"421"
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(outbound.read())
                inbound.write(raw.recv(65536))
        tls.write(b"EHLO client.example\r\n")
        raw.sendall(outbound.read())
        while True:
            try:
                return tls.read(1000)[:3]
            except ssl.SSLWantReadError:
                inbound.write(raw.recv(65536))

"""Hosts that a hostile user would name as a gateway, the DNS that serves them, and a listener that counts who came.

Everything that these stand for is loopback or a forbidden range; nothing of it is derived from the guard.
"""

import itertools
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv6Address
from threading import Lock, Thread
from typing import Self

from bench.scratch import free_port
from dnslib import AAAA, CNAME, MX, QTYPE, RCODE, RR, A, DNSRecord

from outgate.demo import nameserver
from way.place import LOCALHOST

PUBLIC = "127.0.0.2"  # stands for a public address where one must be reached: the tests' networks end at loopback

V4_INSIDE = (
    *("127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.254"),
    *("172.16.0.1", "172.31.255.254", "192.168.0.1", "192.168.255.254", "169.254.169.254", "169.254.0.1"),
    *("100.64.0.1", "100.100.100.200", "100.127.255.254", "168.63.129.16", "192.0.0.1", "192.0.0.192", "192.0.2.1"),
    *("192.88.99.1", "198.18.0.1", "198.19.255.254", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250"),
    *("240.0.0.1", "255.255.255.254", "255.255.255.255"),
)
V6_INSIDE = (
    *("::1", "0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001", "::", "::127.0.0.1", "::7f00:1"),
    *("::ffff:127.0.0.1", "::FFFF:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:ffff:7f00:1", "::ffff:10.0.0.1"),
    *("::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "::ffff:0.0.0.0", "64:ff9b::127.0.0.1", "64:ff9b::7f00:1"),
    *("64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::127.0.0.1", "64:ff9b:1:7f00:0:100::", "2002:7f00:1::1"),
    *("2002:a00:1::", "2002:c0a8:1::1", "2002:a9fe:a9fe::", "2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
    *(
        "fe80::1",
        "fe80::1%lo",
        "::1%lo",
        "fe80::5efe:127.0.0.1",
        "2606:4700::5efe:127.0.0.1",
        "2606:4700::200:5efe:a00:1",
    ),
    *("fec0::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "ff02::1", "ff0e::1", "100::1", "2001:2::1", "2001:10::1"),
    *("2001:20::1", "2001:db8::1", "3fff::1", "5f00::1", "4000::1", "e000::1"),
)
_CIRCLED = {ord(digit): "⓪①②③④⑤⑥⑦⑧⑨"[int(digit)] for digit in "0123456789"}
_SCRIPTS = {  # digits that some code takes for ASCII ones: full width, bold, double-struck, Arabic, Devanagari, Thai
    script: {ord("0") + value: chr(start + value) for value in range(10)}
    for script, start in {
        **{"full width": 0xFF10, "bold": 0x1D7CE, "double-struck": 0x1D7D8, "Arabic": 0x660, "Devanagari": 0x966},
        **{"Thai": 0xE50},
    }.items()
}
_JUNK = (
    *("", ".", "..", " ", "127.0.0.1 ", " 127.0.0.1", "127.0.0.1\n", "127.0.0.1\t", "127.0.0.1\0", "127.0.0.1\r\nQUIT"),
    *("127.0.0.1:25", "127.0.0.1/", "127.0.0.1#x", "127.0.0.1?x", "127.0.0.1%00", "127.0.0.1,8.8.8.8", "127.0.0.1@x"),
    *("x@127.0.0.1", "http://127.0.0.1", "//127.0.0.1", "localhost\0.hostile.example", "localhost:25", "[127.0.0.1]"),
    *("[::1]", "[::ffff:127.0.0.1]", "::1]", "%31%32%37.0.0.1", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1"),  # noqa: RUF001 -- that is the point
    *("127..0.0.1", ".127.0.0.1", "127.0.0.1..", "a" * 300, f"{'a' * 64}.example", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "local\u200bhost"),
)
_NAMES_INSIDE = (
    *("localhost", "LOCALHOST", "localhost.", "a.localhost", "a.LocalHost.", "localhost.localdomain", "router.local"),
    *("metadata.google.internal", "metadata.google.internal.", "db.corp", "nas.lan", "nas.home.arpa", "wiki.intranet"),
)
_NAMED_LIKE_ADDRESSES = ("127.0.0.1.nip.hostile.example", "7f000001.nip.hostile.example", "loop.hostile.example.")


def numeric(address: str) -> Iterator[str]:
    """How inet_aton(3) may be made to read this address: 1 to 4 parts, each in base 8, 10 or 16."""
    value = int(IPv4Address(address))
    first, second, third, fourth = value >> 24, value >> 16 & 255, value >> 8 & 255, value & 255
    yield from (f"{value}", f"{value:#x}", f"{value:#X}", f"0{value:o}", f"0000{value:o}", f"0x0000{value:x}")
    yield from (f"{first}.{value & 0xFFFFFF}", f"{first:#x}.{value & 0xFFFFFF}", f"0{first:o}.{value & 0xFFFFFF:#x}")
    yield from (f"{first}.{second}.{value & 0xFFFF}", f"{first:#x}.{second:#x}.{value & 0xFFFF:#x}")
    yield ".".join(f"0{part:o}" for part in (first, second, third, fourth))
    yield ".".join(f"{part:#x}" for part in (first, second, third, fourth))
    yield ".".join(f"{part:04}" for part in (first, second, third, fourth))
    yield f"{first}.0{second:o}.{third:#x}.{fourth}"


def _unicode(address: str) -> Iterator[str]:
    yield from (address.translate(digits) for digits in (_CIRCLED, *_SCRIPTS.values()))


def literal_hosts() -> list[str]:
    """Those that need no DNS."""
    texts = itertools.chain(
        *(V4_INSIDE, V6_INSIDE, _JUNK, (f"{address}." for address in V4_INSIDE[:4])),
        *(numeric(address) for address in ("127.0.0.1", "169.254.169.254", "0.0.0.0", "10.0.0.1")),
        *(_unicode(address) for address in ("127.0.0.1", "169.254.169.254", "2130706433")),
    )
    return list(dict.fromkeys(texts))


class Zones(nameserver.Records):
    """A server that answers with whole CNAME chains, and with the next of several answers at each question."""

    def __init__(self) -> None:
        super().__init__("")
        self._answers: dict[str, list[list[RR]]] = {}
        self._asked: Counter[tuple[str, int]] = Counter()

    def add(self, name: str, *answers: list[str]) -> str:
        """Addresses, or names to be redirected to (`>name`) or to exchange mail (`@name`): one list for each time."""
        name = name.removesuffix(".").lower()
        self._answers[name] = [[_record(name, text) for text in answer] for answer in answers]
        return name

    def resolve(self, request: DNSRecord, handler: object) -> DNSRecord:
        """Answer one question."""
        reply = request.reply()
        known = self._follow(reply, str(request.q.qname).removesuffix(".").lower(), request.q.qtype)
        reply.header.rcode = RCODE.NOERROR if known else RCODE.NXDOMAIN
        return reply

    def _follow(self, reply: DNSRecord, name: str, qtype: int) -> bool:
        answers = self._answers.get(name)
        if not answers:
            return False
        times = self._asked[name, qtype]
        self._asked[name, qtype] += 1
        for record in answers[min(times, len(answers) - 1)]:
            if record.rtype == qtype or record.rtype == QTYPE.CNAME:
                reply.add_answer(record)
            if record.rtype == QTYPE.CNAME:
                self._follow(reply, str(record.rdata.label).removesuffix(".").lower(), qtype)
        return True


def _record(name: str, text: str) -> RR:
    if text[0] in ">@":
        kind, data = (QTYPE.CNAME, CNAME(text[1:])) if text[0] == ">" else (QTYPE.MX, MX(text[1:]))
    elif ":" in text:
        kind, data = QTYPE.AAAA, AAAA(IPv6Address(text).exploded)
    else:
        kind, data = QTYPE.A, A(text)
    return RR(name, kind, rdata=data, ttl=0)


def named_hosts(zones: Zones) -> list[str]:
    """Those that the DNS leads inside."""
    plain_v6 = [address for address in V6_INSIDE if "%" not in address]
    hosts = [zones.add(f"a{n}.hostile.example", [address]) for n, address in enumerate((*V4_INSIDE, *plain_v6))]
    for name in (*_NAMES_INSIDE, *_NAMED_LIKE_ADDRESSES):
        zones.add(name, ["127.0.0.1"])
        hosts.append(name)
    zones.add("chain.hostile.example", [">chain2.hostile.example"])
    zones.add("chain2.hostile.example", [">a0.hostile.example"])
    zones.add("redirected.hostile.example", [">localhost"])
    hosts += ["chain.hostile.example", "redirected.hostile.example", "CHAIN.hostile.example."]
    return hosts


def mixed_hosts(zones: Zones) -> list[str]:
    """One good address beside some that lead inside."""
    mixed = {
        "inside-last": [PUBLIC, "127.0.0.1"],
        "inside-first": ["127.0.0.1", PUBLIC],
        "among-many": [*(f"127.0.0.{n}" for n in range(1, 9)), PUBLIC, "10.0.0.1"],
        "other-family": [PUBLIC, "::1"],
        "mapped": ["::ffff:127.0.0.1", PUBLIC],
    }
    return [zones.add(f"{name}.mixed.example", addresses) for name, addresses in mixed.items()]


class Listener:
    """Accepts on one port at every address that the kernel has, 127.0.0.0/8 and ::1 among them, and counts."""

    def __init__(self) -> None:
        self.reached: Counter[str] = Counter()
        self._lock, self._sockets, self._threads = Lock(), ExitStack(), list[Thread]()
        self.port = 0

    def __enter__(self) -> Self:
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            listening = self._sockets.enter_context(socket.socket(family))
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind((address, self.port))
            listening.listen(512)
            self.port = listening.getsockname()[1]
            self._threads.append(Thread(target=self._accept, args=(listening,)))
            self._threads[-1].start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread, address in zip(self._threads, ("127.0.0.1", "::1"), strict=True):
            with socket.create_connection((address, self.port), timeout=5) as last:
                last.sendall(b"end")
            thread.join()
        self._sockets.close()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            accepted, _ = listening.accept()
            with accepted:
                accepted.sendall(b"421 4.3.2 not here\r\n")
                accepted.settimeout(5)
                try:
                    if accepted.recv(64) == b"end":
                        return
                except OSError:
                    pass
                with self._lock:
                    self.reached[accepted.getsockname()[0]] += 1


@contextmanager
def serving(zones: Zones) -> Iterator[str]:
    """The DNS server's `address:port` for the time of the block."""
    port = free_port()
    with nameserver.serve(zones, LOCALHOST, port):
        yield f"{LOCALHOST.address}:{port}"

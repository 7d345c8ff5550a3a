"""systemd: tells it how far the server is (sd_notify(3)), and the unit by which it runs it. Knows no room."""

import os
import socket
from contextlib import suppress
from pathlib import Path


def notify(state: str) -> None:
    """`READY=1` or `STOPPING=1`; nothing where systemd did not start the program."""
    if not (address := os.environ.get("NOTIFY_SOCKET")):
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
        to.sendto(state.encode(), address)


def service_unit(program: Path, data: Path, maildirs: Path, user: str, stop_seconds: float) -> str:
    """The unit of the server on a data directory. It takes ports below 1024 without root, and writes only there and to
    the Maildirs."""
    writes = str(data) if maildirs.is_relative_to(data) else f"{data} {maildirs}"
    return f"""\
[Unit]
Description=Outgate, outbound mail server
Wants=network-online.target
After=network-online.target postgresql.service

[Service]
Type=notify
NotifyAccess=all
User={user}
Group={user}
ExecStart={program} --data {data} serve
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=2
# What is being handed over may end (delivery.stop_timeout), and then some.
TimeoutStopSec={int(stop_seconds) + 15}
TimeoutStartSec=120
LimitNOFILE=65536
UMask=0077
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={writes}
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""

"""Network namespaces that stand for machines: one for each Ray node, joined by a bridge.

Only root can make them; they and everything that runs in them are gone after `remove`.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

#: For measurements between machines (RFC 2544): no network that people use has these addresses.
_RANGE = ipaddress.ip_network("198.18.0.0/15")


@dataclass
class Namespaces:
    """A bridge of this machine and namespaces on it; the first address is this machine's."""

    count: int
    tag: str = field(default_factory=lambda: f"pl{os.getpid()}")
    network: ipaddress.IPv4Network = field(init=False)

    def __post_init__(self) -> None:
        self.network = _free_network()

    @property
    def names(self) -> list[str]:
        """Names of the namespaces."""
        return [f"{self.tag}n{number}" for number in range(1, self.count + 1)]

    @property
    def host(self) -> str:
        """Address of this machine that the namespaces reach."""
        return str(self.network[1])

    def address(self, name: str) -> str:
        """Address of a namespace."""
        return str(self.network[self.names.index(name) + 2])

    def make(self) -> None:
        """Make the bridge and the namespaces; `RuntimeError` where that is not allowed."""
        if os.geteuid() != 0 or shutil.which("ip") is None:
            raise RuntimeError("network namespaces need root and the command ip (iproute2)")
        bits = self.network.prefixlen
        _ip("link", "add", self.tag, "type", "bridge")
        _ip("addr", "add", f"{self.host}/{bits}", "dev", self.tag)
        _ip("link", "set", self.tag, "up")
        for number, name in enumerate(self.names, start=1):
            here, there = f"{self.tag}h{number}", f"{self.tag}v{number}"
            _ip("netns", "add", name)
            _ip("link", "add", here, "type", "veth", "peer", "name", there)
            _ip("link", "set", here, "master", self.tag, "up")
            _ip("link", "set", there, "netns", name)
            _ip("-n", name, "addr", "add", f"{self.address(name)}/{bits}", "dev", there)
            _ip("-n", name, "link", "set", there, "up")
            _ip("-n", name, "link", "set", "lo", "up")

    def kill(self, name: str) -> None:
        """SIGKILL everything in a namespace, as a machine that loses its power."""
        until = time.monotonic() + 30
        while (inside := self.processes(name)) and time.monotonic() < until:
            for process in inside:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.1)

    def processes(self, name: str) -> list[int]:
        """Ids of the processes in a namespace."""
        if not Path("/run/netns", name).exists():
            return []
        return [int(line) for line in _ip("netns", "pids", name).split()]

    def remove(self) -> None:
        """End what still runs in the namespaces, and remove them and the bridge."""
        for name in self.names:
            self.kill(name)
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self.tag], check=False, capture_output=True)


def _free_network() -> ipaddress.IPv4Network:
    """A network of the range in which this machine has no address yet."""
    taken = {
        ipaddress.ip_interface(f"{entry['local']}/{entry['prefixlen']}").network
        for interface in json.loads(_ip("-j", "addr"))
        for entry in interface.get("addr_info", [])
        if entry["family"] == "inet"
    }
    free = (net for net in _RANGE.subnets(new_prefix=24) if not any(map(net.overlaps, taken)))
    found = next(free, None)
    if found is None:
        raise RuntimeError(f"no free network in {_RANGE}")
    assert isinstance(found, ipaddress.IPv4Network)
    return found


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout

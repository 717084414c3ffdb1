"""Which addresses belong to the public internet, and sockets that connect to no others.

The check is on the address of the connection: a name can resolve to any address, and to another one
tomorrow.
"""

from __future__ import annotations

import ipaddress
import socket

from aiohttp import AddrInfoType

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class DeniedError(OSError):
    """The address is not public, and only public ones may be connected to."""


def public_socket(address: AddrInfoType) -> socket.socket:
    """A socket for a connection to `address`. Raises DeniedError."""
    family, kind, protocol, _, destination = address
    if not is_public(str(destination[0])):
        # The text names no address: when every address of a host is refused, equal errors stay one
        # error of this type.
        raise DeniedError("not a public address")
    return socket.socket(family, kind, protocol)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet: it is not loopback, private, link-local
    or otherwise reserved, nor an IPv6 form of an IPv4 address that is."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast

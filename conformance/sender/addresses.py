"""Which addresses are the public internet's, and sockets that go nowhere else.

The address that is connected to is what counts: a name may lead anywhere, and elsewhere tomorrow.
"""

from __future__ import annotations

import ipaddress
import socket

from aiohttp import AddrInfoType

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class DeniedError(OSError):
    """The address is not a public one, and only those may be connected to."""


def public_socket(address: AddrInfoType) -> socket.socket:
    """A socket for the address that is about to be connected to. Raises DeniedError."""
    family, kind, protocol, _, place = address
    if not is_public(str(place[0])):
        # The same text for each of a name's addresses, so that the error stays what it is when all
        # of them are refused.
        raise DeniedError("not a public address")
    return socket.socket(family, kind, protocol)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet: not loopback, private, link-local or
    reserved in some other way, nor an IPv6 form of an IPv4 address that is."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast

"""Describes what went wrong with an attempt, in sentences that tell the user what to do next.

Pure. The text never holds a message, a secret, or the path and query of the configured URL.
"""

from __future__ import annotations

import errno

import aiohttp

from conformance.model.escaping import visible
from conformance.sender.addresses import DeniedError

_STATUS = {
    401: "it refuses the signature: compare the Secret and the string that is signed",
    403: "it refuses the sender: compare the Secret, and look for an allow list of addresses",
    404: "nothing is at this path: check the URL",
    405: "it does not accept POST at this path: check the URL",
    413: "the message is too large for it: raise its limit",
    415: "it does not accept application/json",
    429: "it asks for fewer requests",
    503: "it is busy or down: deliveries are retried",
}


def of_status(status: int, location: str | None) -> str:
    """What an answer other than 200 means, and what to do. `location` is the Location header."""
    match status:
        case _ if status in _STATUS:
            means = _STATUS[status]
        case _ if 200 <= status < 300:
            means = "only 200 counts as received"
        case _ if 300 <= status < 400:
            target = visible(location)[:200] if location else "where it leads"
            means = f"redirects are not followed: configure {target}"
        case _ if status >= 500:
            means = "it failed inside: see its log"
        case _:
            means = "only 200 counts as received: see its log"
    return f"the endpoint answered {status}: {means}"


def of_fault(fault: Exception, host: str, port: int, seconds: float) -> str | None:
    """Why no whole answer arrived from `host`:`port` within `seconds`; None for a fault that an
    endpoint cannot cause."""
    place = f"{host}:{port}"
    match fault:
        case aiohttp.ClientConnectorDNSError() | UnicodeError():
            return f"the name {host} cannot be resolved: check its spelling, and the DNS"
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(fault.certificate_error, "verify_message", "") or fault.certificate_error
            return f"the certificate of {place} is not trusted ({_short(why)})"
        case aiohttp.ClientSSLError():
            reason = getattr(fault.os_error, "reason", None) or fault.os_error
            return f"no TLS connection to {place} ({_short(reason)}): does it speak https?"
        case aiohttp.ClientConnectorError() if isinstance(fault.os_error, DeniedError):
            return f"{host} leads to an address that is not public, which --deny-private forbids"
        case aiohttp.ClientConnectorError() if fault.os_error.errno == errno.ECONNREFUSED:
            return f"{place} refused the connection: nothing listens there, or a firewall blocks it"
        case aiohttp.ClientConnectorError():
            reason = fault.os_error.strerror or fault.os_error
            return f"no connection to {place} ({_short(reason)})"
        case TimeoutError():
            return f"no whole answer from {place} within {seconds:g} s: answer first, process afterwards"
        case (
            aiohttp.ServerDisconnectedError()
            | aiohttp.ClientPayloadError()
            | aiohttp.ClientOSError()  # a reset, once connected
            | ConnectionError()
        ):
            return f"{place} closed the connection before the answer was whole"
        case aiohttp.InvalidURL():
            return "the URL is not valid: check it"
        case aiohttp.ClientError() | ValueError():  # raised by aiohttp's parser
            return f"the answer of {place} is not HTTP: check the scheme and the port"
        case OSError():
            return f"no connection to {place} ({_short(fault.strerror or fault)})"
        case _:
            return None


def _short(reason: object) -> str:
    return visible(str(reason))[:200]

"""URLs that the suite can send to."""

from __future__ import annotations

from urllib.parse import urlsplit

from conformance.model.errors import InputError
from conformance.model.sentence import Value

PLACE = "{msgId}"


def check_url(what: Value, url: str) -> None:
    """Raises InputError, naming `what`, for a URL that the suite cannot send to."""
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as fault:
        raise InputError(
            "{what}: {url!r} is not a URL: {reason}", what=what, url=url, reason=str(fault)
        ) from None
    if parts.scheme not in ("http", "https"):
        raise InputError("{what}: {url!r} must start with http:// or https://", what=what, url=url)
    if not parts.hostname or not port_is_fine or any(c.isspace() or ord(c) < 32 for c in url):
        raise InputError(
            "{what}: {url!r} is not a URL: it needs a host, and must not contain spaces",
            what=what,
            url=url,
        )
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise InputError(
            "{what}: {hostname!r} is not a valid host name", what=what, hostname=parts.hostname
        ) from None
    if parts.username is not None or parts.password is not None:
        raise InputError(
            "{what}: a URL must not carry credentials; use --header 'Authorization: …'", what=what
        )


def check_observer(template: str) -> None:
    """Raises InputError for an --observer-url without a place for the message id."""
    check_url("--observer-url", template.replace(PLACE, "0"))
    if PLACE not in template:
        raise InputError(
            "--observer-url: {template} has no {placeholder}: put it where the id belongs, as in "
            "http://localhost:5000/processed?msgId={{msgId}}",
            template=template,
            placeholder=PLACE,
        )

"""The options of a run against a receiver, validated."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.options.secrets import Mask, header_secrets, mask_of
from conformance.options.table import ReceiverTable
from conformance.options.values import check


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(ReceiverTable):
    """The options of a run against a receiver. Raises InputError for values that cannot be used."""

    @property
    def secure(self) -> bool:
        """Whether any of the URLs is https."""
        urls = (self.url, self.also_url or "", self.observer_url or "")
        return any(url.lower().startswith("https:") for url in urls)

    def mask(self, decoded: bytes) -> Mask:
        """Masks the secret, as the target has `decoded` it and as it is, and the values of --header."""
        headers = (header_secrets(value) for _, value in self.headers)
        return mask_of(decoded, self.secret, *sorted(set().union(*headers)))

    def __post_init__(self) -> None:
        check(self)

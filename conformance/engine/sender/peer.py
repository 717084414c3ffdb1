"""The sender under test, by all the ways in which a run reaches it."""

from __future__ import annotations

from conformance.engine.sender.api_client import ApiClient
from conformance.engine.sender.emitter import Emitter
from conformance.engine.sender.registrations import Registrations
from conformance.engine.sender.session import SenderSession


class SenderPeer:
    """The parts of one run's session: its API, the endpoints registered there, and its message events."""

    def __init__(self, session: SenderSession) -> None:
        self.session = session
        self.api = ApiClient(session)
        self.registrations = Registrations(session, self.api)
        self.emitter = Emitter(session)

"""All faulty senders that are served in this process."""

from conformance.gallery.senders.config import CONFIG
from conformance.gallery.senders.filter import FILTER
from conformance.gallery.senders.loss import LOSS
from conformance.gallery.senders.message import MESSAGE
from conformance.gallery.senders.pace import PACE
from conformance.gallery.senders.retry import RETRY
from conformance.gallery.senders.wire import WIRE

SENDERS = (*WIRE, *MESSAGE, *FILTER, *RETRY, *PACE, *LOSS, *CONFIG)

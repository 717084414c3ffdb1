"""Load with Locust: `locust -f locustfile.py --host http://localhost:5000`, with or without its web UI.

The users are in `conformance.load.users`; `hookproof load` does the same in one command.
"""

from conformance.load.plugin import attach
from conformance.load.users import Forgeries, Ordinary, Repeats, Storms
from conformance.reporting import languages

__all__ = ["Forgeries", "Ordinary", "Repeats", "Storms"]

attach(languages.load)

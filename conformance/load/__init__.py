"""The load test: Locust users, what they sent and received, and the verdict.

Locust monkey-patches the standard library for gevent. So nothing in the core imports this package,
nothing in it imports asyncio code, and `hookproof load` starts Locust as a separate process.
"""

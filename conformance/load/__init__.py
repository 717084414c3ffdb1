"""The load test: Locust users, what they sent and saw, and the verdict on it.

Locust patches the world for gevent, so that nothing here is imported by the core, and nothing here
imports what is asynchronous; `hookproof load` starts Locust as a process of its own.
"""

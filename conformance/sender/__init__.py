"""The reference sender: its API, its durable queue, and its deliveries."""

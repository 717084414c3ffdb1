"""How a part is served: addresses and certificates."""

"""The live page of the receiver: its deliveries, what is wrong with them, and scripted answers."""

"""The live page of the receiver: what came, what is wrong with it, and the next answers by script."""

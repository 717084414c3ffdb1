"""The protocol, pure: signing, messages, encodings, mutations, tampering, configuration, delivery states."""

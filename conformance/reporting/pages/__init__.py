"""What Hookproof's pages share: templates, a strict policy, a style, and the escaping of hostile text."""

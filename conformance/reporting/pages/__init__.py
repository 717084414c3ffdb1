"""What Hookproof's pages share: templates, a strict policy, a look, and hostile text made harmless."""

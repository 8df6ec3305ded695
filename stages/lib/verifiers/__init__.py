"""Verifiers behind one interface: outcome, process, generative, and published ones.

Knows how a verifier is trained on samples, saved and loaded, and how it scores a sample. Does not know how votes use the
scores.
"""

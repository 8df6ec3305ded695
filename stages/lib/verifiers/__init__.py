"""Verifiers behind one interface: outcome, process, generative, and published ones.

Knows how a score is computed, not how votes use it.
"""

"""Sets of problems: which are scored, and what is shared or nearly repeated between them.

Knows no model and no verifier.
"""

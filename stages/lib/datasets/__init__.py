"""Sets of problems: which are scored, and which problems repeat or nearly repeat others.

Must not know: models, verifiers.
"""

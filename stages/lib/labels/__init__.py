"""Step labels: exact, by Monte-Carlo rollouts, or published elsewhere; and their audit against the truth.

Knows no verifier: labels exist before verifiers are trained on them.
"""

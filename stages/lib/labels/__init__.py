"""Step labels: exact, by Monte-Carlo rollouts, or published; their audit against the truth; the first error.

Knows no verifier: labels come before them.
"""

"""Step labels: exact, by Monte-Carlo rollouts, published; and their audit against the truth.

Knows no verifier: labels come before them.
"""

"""Chapter 4, what it is worth: scores of all samples, and best-of-N in and out of distribution.

Everything that is chosen is chosen on dev; the test sets are only reported.
"""

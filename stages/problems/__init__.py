"""Chapter 1, what is asked: raw benchmarks into problems, and new ones.

benchmarks reads published files; aime and ood make problems whose answers are proven or checked. Nothing here knows a
model that solves them.
"""

"""Chapter 1, problems: what is asked.

`benchmarks` turns published files into problems, `aime` and `ood` make new ones whose answers are proven or checked.
Nothing here knows a model that solves problems. See README.md beside this file.
"""

"""Best-of-N reports: from problems, samples and scores to curves, tables and the ID -> OOD matrix.

Knows which methods are compared; draws no picture and writes no file.
"""

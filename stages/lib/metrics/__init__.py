"""Metrics: pass@k, votes, intervals, ranking.

Arrays in, numbers out. Knows no file, no record and no model.
"""

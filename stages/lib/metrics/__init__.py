"""Metrics over arrays: pass@k, best-of-k, votes, confidence intervals, ranking, calibration.

Arrays in, numbers out: knows no file, no record and no model.
"""

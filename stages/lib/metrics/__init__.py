"""Formulas over arrays: pass@k, votes, intervals, ranking.

Knows no file, no record and no model: arrays in, numbers out.
"""

"""Best-of-N reports: from problems, samples and scores to the curves, comparisons and tables that stages write.

Knows which methods are compared with what. Draws no samples, computes no scores and writes no file.
"""

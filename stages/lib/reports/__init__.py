"""From problems, samples and scores to the tables and curves of best-of-N.

Knows what is compared with what; draws nothing and writes no file.
"""

"""Chapter 4, evaluation: what it is worth.

`scores` scores every sample with every verifier, `best_of_n` turns scores into accuracies, intervals and comparisons, in
and out of distribution, `pseudocode` compares ways to reason along a program whose trace is known, `report` shows all of
it on one page. Every choice is made on dev; test sets are only reported.
See README.md beside this file.
"""

"""Programs of problems that operators can change: a file for each kind, with its text, its solution and its answer.

A program knows how a state (plain data) is written out and checked. It knows no operator: those are in `lib/operators`.
"""

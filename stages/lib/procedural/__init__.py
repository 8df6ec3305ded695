"""Problems that a program generates and solves: grade-school stories, competition families, programs lifted from GSM8K.

Knows: the exact value after every step. Must not know: models.
"""

"""Problems that a program generates and solves: grade-school stories, competition families, programs lifted from GSM8K,
random graphs (DyVal).

Knows: the exact value after every step. Must not know: models.
"""

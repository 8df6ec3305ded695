"""Problems that a program makes and solves: grade-school, competition, lifted GSM8K, random graphs (DyVal).

Knows: the exact value after every step. Must not know: models.
"""

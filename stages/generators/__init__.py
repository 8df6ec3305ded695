"""Chapter 2, who answers: the base model, its fine-tuning, and the solutions drawn from it.

base and generator write models, samples writes graded solutions. Nothing here knows a verifier.
"""

"""Problems that a program makes and solves: grade-school stories, competition families, lifted GSM8K.

Knows the value after every step, and no model.
"""

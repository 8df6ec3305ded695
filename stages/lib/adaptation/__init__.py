"""Where a model is weak, and how much to make there: slices, proposals, confirmations, allocations.

Knows: attributes and accuracies of problems, as arrays. Must not know: models, problems and how they are made.
"""

"""Training: one loop for every model, with its optimizers, batches, checkpoints and sharding.

Trains any module that returns named sums of losses. Knows no verifier and no stage.
"""

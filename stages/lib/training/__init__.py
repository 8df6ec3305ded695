"""The training loop of every model here, its optimizers, batches, checkpoints and sharding.

Knows no verifier and no stage: whatever returns named sums of losses can be trained.
"""

"""A causal language model: loading, prompts and token ids, the forward pass, heads and losses.

Knows neither the training loop nor a sampling engine.
"""

"""A causal language model: loading, prompts and token ids, the forward pass, heads and losses on it.

Knows neither the training loop nor an engine that samples.
"""

"""Stage many_shot: what a model learns from many examples in its prompt, beside oracles that read the same."""

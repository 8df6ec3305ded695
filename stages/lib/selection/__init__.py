"""Which rows to train on: embeddings, quality, and methods that choose.

Must not know stages: rows come from problems of this repository or from any file of instructions.
"""

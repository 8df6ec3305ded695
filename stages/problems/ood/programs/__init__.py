"""Kinds of problems that can be changed by their program, each with what its changes need."""

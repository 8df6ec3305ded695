"""The base of every room: errors, files, digests, keyed randomness, parameters, records, arithmetic.

Every room may import this one. It knows no model, no stage and no other room.
"""

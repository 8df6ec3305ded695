"""The exception for a user's mistake: its message is one sentence."""


class UserError(Exception):
    """Says what is wrong, where, what is allowed and what to do. Entry points print it alone and exit with status 2."""

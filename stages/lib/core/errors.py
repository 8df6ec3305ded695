"""A user's mistake, told in one sentence."""


class UserError(Exception):
    """What was found, where, what is allowed, what to do. Entry points print it alone and exit with status 2."""

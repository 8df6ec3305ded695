"""Operators: ways to change a problem. `registry` names them all and runs them."""

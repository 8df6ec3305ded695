"""Stage honesty: `items` makes questions with and without an answer, `knowledge` says what a model knows and what it may
learn to refuse, `teaching` trains, `refusals` reads refusals, `replies` and `agent` let models reply, `policies` and
`selective` measure, `report` writes it down."""

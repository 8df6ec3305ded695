"""Stage honesty: `items` makes questions with and without an answer, `knowledge` says what a model knows and what it may
learn to refuse, `refusals` reads refusals, `replies` lets models reply, `selective` measures, `report` writes it down."""

"""Stage preference: `pairs` makes pairs of solutions, `measures` compares two policies, `report` writes what was found."""

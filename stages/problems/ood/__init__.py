"""Out-of-distribution synthesis: problems that no model was trained on, each with a contract that is checked."""

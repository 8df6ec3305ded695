"""Out-of-distribution synthesis: problems that nobody was trained on, each with a contract that is checked."""

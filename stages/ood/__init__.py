"""Out-of-distribution synthesis: benchmarks turned into problems that nobody was trained on, each with a checked contract."""

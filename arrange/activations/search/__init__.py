"""Search for activations by evolution or by chance, its state in one SQLite file."""

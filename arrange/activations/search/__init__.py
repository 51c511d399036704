"""The search for activations, by evolution or at random. Its state is one SQLite file."""

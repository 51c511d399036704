"""Programs: the grammar, the check, the canonical text, the cost, the admission tests, and programs as files."""

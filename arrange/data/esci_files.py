"""The files of ESCI, and what its labels mean: what fetching the data and reading them have in common."""

EXAMPLES = "shopping_queries_dataset_examples.parquet"
PRODUCTS = "shopping_queries_dataset_products.parquet"
ORIGIN = "origin.json"  # beside the two files: {"name": what to call numbers from them}
OWN = "own files in the schema of ESCI (no ESCI score)"
LABELS = {"E": "exact", "S": "substitute", "C": "complement", "I": "irrelevant"}

"""Recipes that chain the stages of dvc.yaml as Prefect tasks. DVC decides, Prefect runs, MLflow records."""

"""The reports of a run: tables, figures and pages, of rankers and of activation functions."""

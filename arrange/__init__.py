"""Autoregressive ranking: the science, importable alone."""

"""Tests on what no search saw: held-out families, digits under shifts, tables under shifts, the ranker."""

"""Candidates as programs: what may be written, its canonical form, its cost, its admission."""

"""What a search has not seen: digits under shifts, tables cut by covariate, the ranker; and the comparison."""

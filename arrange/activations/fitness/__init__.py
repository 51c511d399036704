"""How good an activation is: networks trained in batches, their errors against the reference, level by level."""

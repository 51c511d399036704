"""Small regression problems with disjoint training and test ranges: what an activation is measured on."""

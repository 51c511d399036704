"""Small regression problems with disjoint training and test ranges, on which activations are measured."""

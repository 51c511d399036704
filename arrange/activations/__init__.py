"""Activation functions: known ones, mined ones, and the search for more. `load` reads one that a search found."""

from arrange.activations.found import load as load

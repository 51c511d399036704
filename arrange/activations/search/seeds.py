"""The programs that a search begins with: the activations that everybody knows, none that a search has found."""

from arrange.activations.classical import CLASSICAL
from arrange.activations.found import text

SEEDS = {name: text(function) for name, function in CLASSICAL.items()}

"""Small parameters of the tests' own, to be changed: what params.yaml holds may change, these stay."""

import copy
from pathlib import Path

from settings import params

OWN = params.load(Path(__file__).parent / "params.yaml")
LIVE = params.load(Path(__file__).parents[1] / "params.yaml")  # for a section that the tests have no values for yet
SECTIONS = {name: OWN.get(name, section) for name, section in LIVE.items() if name != "presets"}


def changed(*assignments):
    """The tests' sections with nested values set (or, with no value, removed)."""
    sections = copy.deepcopy(SECTIONS)
    for path, *value in assignments:
        *sections_above, key = path.split(".")
        section = sections
        for name in sections_above:
            section = section[name]
        if value:
            section[key] = copy.deepcopy(value[0])  # later assignments may change it
        else:
            del section[key]
    return sections

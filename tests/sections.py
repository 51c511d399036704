"""The project's parameters for tests, to be changed."""

import copy
from pathlib import Path

from settings import params

PROJECT = params.load(Path(__file__).parents[1] / "params.yaml")
SECTIONS = {name: section for name, section in PROJECT.items() if name != "presets"}


def changed(*assignments):
    """The project's sections with nested values set (or, with no value, removed)."""
    sections = copy.deepcopy(SECTIONS)
    for path, *value in assignments:
        *sections_above, key = path.split(".")
        section = sections
        for name in sections_above:
            section = section[name]
        if value:
            section[key] = value[0]
        else:
            del section[key]
    return sections

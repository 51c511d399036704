"""Islands: populations that know nothing of each other but for a migrant now and then."""

from collections.abc import Sequence

from arrange.activations.search.archive import Entry, keep
from arrange.activations.search.identity import among


def island_of(place: int, islands: int) -> int:
    """The island that a place of a generation belongs to: dealt in turn."""
    return place % islands


def migrate(populations: Sequence[Sequence[Entry]], places: int) -> list[list[Entry]]:
    """Each island sends its best that the next one has not, in a ring and all at once; there it has to hold a place."""
    return [
        keep([*population, *_migrants(populations[number - 1], population)], places)
        for number, population in enumerate(populations)
    ]


def _migrants(source: Sequence[Entry], target: Sequence[Entry]) -> list[Entry]:
    there = [entry.identity for entry in target]
    return [entry for entry in source if not among(entry.identity, there)][:1]

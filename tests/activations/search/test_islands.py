"""Islands and their migrants."""

from dataclasses import replace

from arrange.activations.search.archive import Entry
from arrange.activations.search.identity import Identity
from arrange.activations.search.islands import island_of, migrate


def entry(id, fitness):
    return Entry(id, "", Identity(f"program {id}"), fitness, (0, 0))


def test_places_are_dealt_in_turn():
    assert [island_of(place, 3) for place in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_the_best_of_each_island_goes_round_and_has_to_hold_a_place():
    nine, five, seven, six, one = entry(1, 0.9), entry(2, 0.5), entry(3, 0.7), entry(4, 0.6), entry(5, 0.1)
    assert migrate([[nine, five], [seven, six], [one]], places=2) == [[nine, five], [nine, seven], [seven, one]]


def test_who_is_there_already_does_not_travel():
    shared, second, third = entry(1, 0.9), entry(2, 0.5), entry(3, 0.1)
    twin = replace(shared, id=9)
    assert migrate([[shared, second], [twin, third]], places=3) == [[shared, second, third], [twin, second, third]]


def test_one_island_is_as_it_was():
    population = [entry(1, 0.9), entry(2, 0.5)]
    assert migrate([population], places=2) == [population]


def test_an_empty_island_sends_nobody():
    assert migrate([[], [entry(1, 0.2)]], places=2) == [[entry(1, 0.2)], [entry(1, 0.2)]]

"""A small, valid WordNet for tests: data.noun and index.noun with true byte offsets.

`write(folder)` makes the same 144 noun synsets each time. In TREE, indentation is the first hypernym, `= `
marks an instance, ` < key` a second hypernym (the key is the first lemma, or the one given after ` # `).
"""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

TREE = """
entity
  physical_entity
    object, physical_object
      whole, unit
        living_thing, animate_thing
          organism, being
            person, individual
              child, kid, youngster # kid_person
              worker
              hunter < worker
            plant, flora
              tree
                oak
                cork_oak < bark_source
              bark_source
            animal, animate_being, beast
              pet
              domestic_animal, domesticated_animal
                stray < pet
              young, offspring
                young_mammal
                  kid # kid_goat
                  puppy
                  kitten, kitty
                  calf
              game
                big_game
              predator
                apex_predator < big_game
              chordate
                vertebrate, craniate
                  mammal, mammalian
                    placental, placental_mammal
                      carnivore
                        canine, canid
                          dog, domestic_dog, Canis_familiaris < domestic_animal
                            puppy_dog < pet
                            hunting_dog
                              hound, hound_dog
                                beagle
                                bloodhound, sleuthhound
                              terrier
                                Airedale, Airedale_terrier
                                fox_terrier
                                = Toto
                            working_dog
                              shepherd_dog, sheepdog
                                collie
                                = Lassie
                              sled_dog
                                husky
                                = Balto
                            poodle < pet
                          wolf < predator
                            timber_wolf, grey_wolf, gray_wolf, Canis_lupus
                          fox
                            red_fox, Vulpes_vulpes
                        feline, felid
                          cat, true_cat
                            domestic_cat, house_cat < domestic_animal
                              tabby < pet
                              Siamese_cat, Siamese
                            wildcat
                              lynx, catamount
                          big_cat, cat < apex_predator
                            lion, king_of_beasts
                            tiger
                        bear
                          brown_bear
                          polar_bear < apex_predator
                        seal # seal_animal
                          fur_seal
                      ungulate, hoofed_mammal
                        equine, equid
                          horse, Equus_caballus < domestic_animal
                            mare
                            racehorse
                              = Secretariat
                          donkey
                            jack, jackass # jack_donkey
                              = Eeyore
                        bovine, bovid
                          cattle, cows < domestic_animal
                            ox
                            cow, moo-cow
                        goat
                          ibex
                      rodent, gnawer
                        mouse
                        rat
                          brown_rat
                      bat, chiropteran # bat_animal
                        fruit_bat, megabat
                    marsupial, pouched_mammal
                      kangaroo
                        wallaby
                      koala
                  bird
                    bird_of_prey, raptor < predator
                      eagle
                        golden_eagle
                      hawk
                    crane # crane_bird
                      whooping_crane, whooper
                    gallinaceous_bird, gallinacean
                      turkey # turkey_bird
                      hen < domestic_animal
                  fish
                    bony_fish
                      jack # jack_fish
                        amberjack
                        pompano
                      sole
                        lemon_sole
                    shark < predator
                      great_white_shark, white_shark
                  reptile, reptilian
                    snake, serpent
                      viper
                        adder
                    lizard
                      gecko
              arthropod
                insect
                  bug # bug_insect
                    bedbug
                  beetle
                    ladybug, ladybird
                arachnid
                  spider
                    tarantula
              worm
                earthworm, dew_worm
        artifact, artefact
          machine
            crane # crane_machine
          seal, stamp # seal_stamp
          bat # bat_club
      location
        country, state
          = Turkey, Republic_of_Turkey # turkey_country
  abstraction, abstract_entity
    attribute
      state # state_attribute
"""
EXAMPLE = '; "they saw it: the {name} was there"'


class Entry(NamedTuple):
    lemmas: list[str]
    parents: list[tuple[str, str]]  # pointer symbol and key


def entries() -> dict[str, Entry]:
    """The synsets of TREE by key, in its order."""
    found: dict[str, Entry] = {}
    path: list[str] = []
    for line in TREE.strip("\n").splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        rest, _, key = line.strip().partition(" # ")
        rest, _, second = rest.partition(" < ")
        symbol = "@i" if rest.startswith("= ") else "@"
        lemmas = rest.removeprefix("= ").split(", ")
        key = key or lemmas[0]
        assert key not in found, key
        parents = [(symbol, path[depth - 1])] if depth else []
        found[key] = Entry(lemmas, parents + ([("@", second)] if second else []))
        path[depth:] = [key]
    return found


VERB = "+ 00000123 v 0101 "


def write(folder: Path) -> None:
    """Write data.noun and index.noun of the small WordNet into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    header = "".join(f"  {n} A small WordNet, made for tests.  \n" for n in range(1, 4))
    synsets = entries()
    pointers: dict[str, list[tuple[str, str]]] = {key: list(entry.parents) for key, entry in synsets.items()}
    for key, entry in synsets.items():
        for symbol, parent in entry.parents:
            pointers[parent].append((symbol.replace("@", "~"), key))
    offsets, position = {}, len(header)
    for key, entry in synsets.items():
        offsets[key] = position
        position += len(_line(entry, pointers[key], dict.fromkeys(synsets, 0), 0))
    lines = [_line(entry, pointers[key], offsets, offsets[key]) for key, entry in synsets.items()]
    (folder / "data.noun").write_text(header + "".join(lines))
    (folder / "index.noun").write_text(header + "".join(_index(synsets, offsets)))


def _line(entry: Entry, pointers: list[tuple[str, str]], offsets: dict[str, int], offset: int) -> str:
    words = " ".join(f"{lemma} 0" for lemma in entry.lemmas)
    targets = "".join(f"{symbol} {offsets[key]:08d} n 0000 " for symbol, key in pointers)
    above = " and ".join(key.replace("_", " ") for _, key in entry.parents) or "that which is"
    gloss = f"a kind of {above}" + EXAMPLE.format(name=entry.lemmas[0].replace("_", " "))
    count = len(pointers) + 1  # and a verb, as many nouns have
    return f"{offset:08d} 03 n {len(entry.lemmas):02x} {words} {count:03d} {targets}{VERB}| {gloss}  \n"


def _index(synsets: dict[str, Entry], offsets: dict[str, int]) -> list[str]:
    senses: dict[str, list[int]] = defaultdict(list)
    for key, entry in synsets.items():
        for lemma in entry.lemmas:
            senses[lemma.lower()].append(offsets[key])
    return [
        f"{lemma} n {len(found)} 1 @ {len(found)} 0 {' '.join(f'{offset:08d}' for offset in found)}  \n"
        for lemma, found in sorted(senses.items())
    ]

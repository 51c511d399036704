from collections.abc import Callable, Iterator
from pathlib import Path

import mini_wordnet
import polars as pl
import pytest

from arrange.data.splits import assign
from arrange.data.tables import Dataset, check
from arrange.data.wordnet import ancestors, mask, tables
from arrange.data.wordnet_files import Synset, load, read, save
from arrange.errors import UserError

SHARES = {"validation": 0.15, "test": 0.2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mini_wordnet.write(tmp_path)
    return tmp_path


def animals(folder: Path, **changes: object) -> Dataset:
    arguments = {"root": "animal.n.01", "text": "lemmas_gloss", "split": "parent", **SHARES, **changes}
    return tables(read(folder), **arguments)


def cell(frame: pl.DataFrame, key: str, column: str) -> object:
    return frame.row(by_predicate=pl.col(frame.columns[0]) == key, named=True)[column]


def ranking(dataset: Dataset, query: str) -> list[tuple[str, int, int]]:
    return dataset.qrels.filter(pl.col("query_id") == query).select("doc_id", "rank", "gain").rows()


def test_synsets_are_named_as_nltk_names_them(folder: Path) -> None:
    synsets = read(folder)
    assert len(synsets) == len(mini_wordnet.entries()) == 144
    assert synsets["dog.n.01"] == Synset(
        ("dog", "domestic dog", "Canis familiaris"),
        'a kind of canine and domestic animal; "they saw it: the dog was there"',
        ("canine.n.01", "domestic_animal.n.01"),
    )
    # the bird comes before the country in the file; both are "turkey" in lower case
    assert synsets["turkey.n.01"].lemmas == ("turkey",)
    assert synsets["turkey.n.02"].lemmas == ("Turkey", "Republic of Turkey")
    assert synsets["toto.n.01"].hypernyms == ("terrier.n.01",)  # an instance


def test_the_saved_table_depends_on_the_nouns_alone(folder: Path, tmp_path: Path) -> None:
    """Princeton's and Debian's data.noun differ in the offsets of other parts of speech."""
    synsets = read(folder)
    save(synsets, tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet") == synsets
    data = folder / "data.noun"
    pointer = mini_wordnet.VERB.encode()
    (tmp_path / "b").mkdir()
    assert pointer in data.read_bytes()
    (tmp_path / "b" / "data.noun").write_bytes(data.read_bytes().replace(pointer, b"+ 00000456 v 0101 "))
    (tmp_path / "b" / "index.noun").write_bytes((folder / "index.noun").read_bytes())
    save(read(tmp_path / "b"), tmp_path / "b.parquet")
    assert (tmp_path / "b.parquet").read_bytes() == (tmp_path / "a.parquet").read_bytes()


def test_w_cnt_is_hexadecimal(tmp_path: Path) -> None:
    lemmas = [f"name_{i}" for i in range(18)]
    words = " ".join(f"{lemma} 0" for lemma in lemmas)
    (tmp_path / "data.noun").write_text(f"00000000 03 n 12 {words} 000 | many names  \n")
    (tmp_path / "index.noun").write_text("".join(f"{lemma} n 1 0 1 0 00000000  \n" for lemma in lemmas))
    assert len(read(tmp_path)["name_0.n.01"].lemmas) == 18


def test_distances_are_the_shortest_of_all_ways_up(folder: Path) -> None:
    """Oracle: walk every way up."""
    synsets = read(folder)

    def ways(id_: str, distance: int = 0) -> Iterator[tuple[str, int]]:
        for parent in synsets[id_].hypernyms:
            yield parent, distance + 1
            yield from ways(parent, distance + 1)

    for id_, above in ancestors(synsets).items():
        expected: dict[str, int] = {}
        for ancestor, distance in ways(id_):
            expected[ancestor] = min(distance, expected.get(ancestor, distance))
        assert above == expected


def test_order_is_distance_then_descendants_before_ancestors_then_id() -> None:
    above = {
        "root": [],
        "z": ["root"],
        "b": ["z"],
        "a": ["root"],
        "c": ["root"],
        "query": ["z", "b", "c", "a"],
    }
    synsets = {id_: Synset((id_,), "", tuple(hypernyms)) for id_, hypernyms in above.items()}
    assert list(ancestors(synsets)["query"].items()) == [("b", 1), ("a", 1), ("c", 1), ("z", 1), ("root", 2)]


def test_a_descendant_comes_before_its_ancestor_at_the_same_distance(folder: Path) -> None:
    above = ancestors(read(folder))
    for list_ in above.values():
        seen: dict[str, int] = {}
        for id_, distance in list_.items():
            assert not any(distance == other and earlier in above[id_] for earlier, other in seen.items())
            seen[id_] = distance


def test_equal_distance_is_an_equal_rank(folder: Path) -> None:
    assert ranking(animals(folder), "lion.n.01") == [
        ("big_cat.n.01", 1, 1000000),
        ("apex_predator.n.01", 2, 500000),
        ("feline.n.01", 2, 500000),
        ("big_game.n.01", 3, 333333),
        ("carnivore.n.01", 3, 333333),
        ("predator.n.01", 3, 333333),
        ("animal.n.01", 4, 250000),
        ("game.n.01", 4, 250000),
        ("placental.n.01", 4, 250000),
        ("mammal.n.01", 5, 200000),
        ("organism.n.01", 5, 200000),
        ("living_thing.n.01", 6, 166667),
        ("vertebrate.n.01", 6, 166667),
        ("chordate.n.01", 7, 142857),
        ("whole.n.01", 7, 142857),
        ("object.n.01", 8, 125000),
        ("physical_entity.n.01", 9, 111111),
        ("entity.n.01", 10, 100000),
    ]


def test_queries_are_the_subtree_and_documents_all_their_hypernyms(folder: Path) -> None:
    dataset = animals(folder)
    check(dataset)
    ids = dataset.queries["query_id"].to_list()
    assert len(ids) == 118
    assert "animal.n.01" in ids
    assert not {"organism.n.01", "oak.n.01", "crane.n.02", "turkey.n.02", "entity.n.01"} & set(ids)
    assert set(dataset.documents["doc_id"]) == set(dataset.qrels["doc_id"])
    assert cell(dataset.documents, "physical_entity.n.01", "text") == "physical entity"
    shared = dataset.documents.filter(pl.col("text") == "jack")["doc_id"].to_list()
    assert shared == ["jack.n.01", "jack.n.02"]


def test_the_top_has_no_list_and_is_no_query(folder: Path) -> None:
    dataset = animals(folder, root="entity.n.01")
    assert dataset.queries.height == 143
    assert "entity.n.01" not in dataset.queries["query_id"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lemma", "lynx"),
        ("lemmas", "lynx, catamount"),
        ("lemmas_gloss", 'lynx, catamount: a kind of wildcat; "they saw it: the lynx was there"'),
        ("masked", 'lynx, catamount: a kind of _; "they saw it: the lynx was there"'),
    ],
)
def test_query_texts(folder: Path, text: str, expected: str) -> None:
    assert cell(animals(folder, text=text).queries, "lynx.n.01", "text") == expected


def test_every_lemma_of_every_hypernym_is_masked_and_the_own_lemmas_stay(folder: Path) -> None:
    synsets = {
        "top": Synset(("whole thing",), "", ()),
        "cat": Synset(("cat", "Felis catus"), "", ("top",)),
        "wild": Synset(("wildcat", "cat"), "Cats, or FELIS  CATUS: whole things (a cat-like wild cat)", ("cat",)),
        "more": Synset(("catty cat",), "wildcats' scatter", ("wild",)),
    }
    found = tables(synsets, "top", "masked", "query", 0.0, 0.0).queries
    assert cell(found, "wild", "text") == "wildcat, cat: _, or FELIS  CATUS: _ (a _-like wild _)"
    assert cell(found, "more", "text") == "catty cat: _' scatter"


@pytest.mark.parametrize(
    ("gloss", "lemmas", "expected"),
    [
        ("the dog of a hound dog", ["dog", "hound dog"], "the _ of a _"),  # what begins first
        ("the dog in a dog house", ["dog", "dog house"], "the _ in a _"),  # the longest at one place
        ("foxes, box, boxes, oxen", ["fox", "ox"], "_, box, boxes, _"),
        ("U.S. and U.S.A. and UxS.", ["U.S."], "_ and U.S.A. and UxS."),  # a dot is a dot
        ("nothing here", [], "nothing here"),
        ("butterflies of the butterfly family, flies", ["butterfly"], "_ of the _ family, flies"),
        ("wolves, knives, leaves and leafy", ["wolf", "knife", "leaf"], "_, _, _ and leafy"),
        ("larvae, vertebrae", ["larva", "vertebra"], "_, _"),
        ("fungi, genera, bacteria, phenomena", ["fungus", "genus", "bacterium", "phenomenon"], "_, _, _, _"),
        ("axes, helices, larynges, stigmata", ["axis", "helix", "larynx", "stigma"], "_, _, _, _"),
        ("People and workmen; Children", ["person", "workman", "child"], "_ and _; _"),
        (
            "mice, titmice, geese, eye teeth, gasses",
            ["mouse", "titmouse", "goose", "eye tooth", "gas"],
            "_, _, _, _, _",
        ),
        ("I live in a bi-level", ["US", "bus"], "I live in a bi-level"),  # short forms are words of their own
    ],
)
def test_mask(gloss: str, lemmas: list[str], expected: str) -> None:
    assert mask(gloss, lemmas) == expected


@pytest.mark.parametrize("root", ["animal.n.01", "entity.n.01"])
@pytest.mark.parametrize("split", ["parent", "subtree"])
def test_queries_that_share_a_nearest_hypernym_are_in_one_split(folder: Path, split: str, root: str) -> None:
    dataset = animals(folder, split=split, root=root)
    first = dataset.qrels.filter(rank=1).join(dataset.queries, on="query_id")
    assert first.group_by("query_id").len()["len"].max() > 1  # the table has queries of several parents
    assert first.group_by("doc_id").agg(pl.col("split").n_unique())["split"].max() == 1
    assert set(dataset.queries["split"]) == {"train", "validation", "test"}


@pytest.mark.parametrize("split", ["parent", "subtree"])
def test_parents_are_connected_through_queries_of_several(split: str) -> None:
    """Each of 60 parents has 51 children, and all but the last share every second one with the next."""
    synsets = {"top": Synset(("top",), "", ())}
    for i in range(60):
        synsets[f"p{i}"] = Synset((f"p{i}",), "", ("top",))
    for i in range(60):
        both = (f"p{i}", f"p{i + 1}") if i < 59 else (f"p{i}",)
        synsets |= {f"c{i}-{j}": Synset(("c",), "", both if j % 2 else (f"p{i}",)) for j in range(51)}
    assert assign(pl.Series(["p1", "top"]), 0.0, 0.2).to_list() == ["train", "test"]
    queries = tables(synsets, "top", "lemma", split, 0.0, 0.2).queries
    assert set(queries.filter(pl.col("query_id").str.starts_with("p"))["split"]) == {"test"}  # children of top
    assert set(queries.filter(pl.col("query_id").str.starts_with("c"))["split"]) == {"train"}  # one component: p1


def test_a_parent_without_co_parents_is_its_own_key(folder: Path) -> None:
    """So that the split of most queries is the hash of their parent, as the paper's readers can check by hand."""
    synsets = read(folder)
    co_parents = {up for synset in synsets.values() if len(synset.hypernyms) > 1 for up in synset.hypernyms}
    alone = {id_: synset.hypernyms[0] for id_, synset in synsets.items() if synset.hypernyms}
    alone = {id_: up for id_, up in alone.items() if up not in co_parents}
    splits = dict(animals(folder, root="entity.n.01").queries.select("query_id", "split").rows())
    expected = assign(pl.Series(list(alone.values())), **SHARES)
    assert len(alone) > 80
    assert [splits[id_] for id_ in alone] == expected.to_list()


def test_no_test_list_is_a_training_list(folder: Path) -> None:
    def lists(dataset: Dataset, split: str) -> set[tuple[str, ...]]:
        ids = dataset.queries.filter(pl.col("split") == split)["query_id"].implode()
        found = dataset.qrels.filter(pl.col("query_id").is_in(ids)).group_by("query_id").agg(pl.col("doc_id").sort())
        return {tuple(list_) for list_ in found["doc_id"].to_list()}

    parent, subtree, query = (animals(folder, split=split) for split in ("parent", "subtree", "query"))
    assert lists(parent, "test").isdisjoint(lists(parent, "train"))
    assert lists(subtree, "test").isdisjoint(lists(subtree, "train"))
    assert not lists(query, "test").isdisjoint(lists(query, "train"))  # what the parent split is for


def below_top(leaves: int) -> dict[str, Synset]:
    """`top` has `leaves` leaves and a chain of three: a, b, c."""
    parents = {**{f"leaf {i}": "top" for i in range(leaves)}, "a": "top", "b": "a", "c": "b"}
    return {"top": Synset(("top",), "", ())} | {id_: Synset((id_,), "", (up,)) for id_, up in parents.items()}


def test_subtree_split_goes_by_subtrees_of_at_most_50_synsets() -> None:
    """A query goes where the subtree of its nearest hypernym goes: b and c with a, the others with top."""
    assert assign(pl.Series(["a", "top"]), 0.0, 0.5).to_list() == ["train", "test"]
    found = tables(below_top(47), "top", "lemma", "subtree", 0.0, 0.5).queries
    assert found.filter(split="train")["query_id"].to_list() == ["b", "c"]
    with pytest.raises(UserError, match="49 queries, none of them in the train split"):  # 50 synsets: one subtree
        tables(below_top(46), "top", "lemma", "subtree", 0.0, 0.5)


def test_subtree_split_hides_more_hypernyms_from_training(folder: Path) -> None:
    def unseen(split: str) -> float:
        dataset = animals(folder, split=split)
        train = dataset.queries.filter(split="train").select("query_id")
        seen = dataset.qrels.join(train, on="query_id")["doc_id"].unique().implode()
        test = dataset.queries.filter(split="test").select("query_id")
        return (
            dataset.qrels.filter(rank=1).join(test, on="query_id").select((~pl.col("doc_id").is_in(seen)).mean()).item()
        )

    assert unseen("subtree") > unseen("parent") > unseen("query")


@pytest.mark.parametrize("split", ["parent", "subtree", "query"])
def test_queries_keep_their_split_in_a_larger_subtree(folder: Path, split: str) -> None:
    small, large = (animals(folder, root=root, split=split).queries for root in ("mammal.n.01", "entity.n.01"))
    both = small.join(large, on="query_id")
    assert both.height == small.height
    assert (both["split"] == both["split_right"]).all()


def test_an_unknown_root_is_answered_with_the_nearest_names(folder: Path) -> None:
    with pytest.raises(UserError) as error:
        animals(folder, root="anmal.n.01")
    assert str(error.value).startswith("'anmal.n.01' is not a noun synset\nperhaps animal.n.01")


def test_a_subtree_too_small_for_its_splits_is_refused(folder: Path) -> None:
    with pytest.raises(
        UserError, match=r"lynx\.n\.01 has 1 queries, none of them in the (train|validation|test) split"
    ):
        animals(folder, root="lynx.n.01")


def replace_in_line(path: Path, number: int, old: str, new: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new, 1)
    path.write_text("".join(lines))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda f: replace_in_line(f / "data.noun", 5, " n ", " v "),
            r"data\.noun, line 5: .* do not add up",
        ),
        (
            lambda f: replace_in_line(f / "data.noun", 6, " 02 ", " 03 "),
            r"data\.noun, line 6: not a noun synset",
        ),
        (
            lambda f: replace_in_line(f / "data.noun", 6, " 02 ", " zz "),
            r"data\.noun, line 6: .* base 16: 'zz'",
        ),
        (
            lambda f: replace_in_line(f / "data.noun", 5, "saw", "see "),
            r"data\.noun, line 6: .* starts at byte 427",
        ),
        (
            lambda f: replace_in_line(f / "data.noun", 9, "00000947", ""),
            r"data\.noun, line 9: not a noun synset",
        ),
        (
            lambda f: replace_in_line(f / "data.noun", 9, "@ 00000778", "@ 00000779"),
            r"no synset at 00000779, the hypernym of 00000947",
        ),
        (
            lambda f: replace_in_line(f / "index.noun", 9, " n 1 ", " n 2 "),
            r"index\.noun, line 9: not an index line",
        ),
        (
            lambda f: replace_in_line(f / "index.noun", 9, " n 1 ", " n x "),
            r"index\.noun, line 9: not an index line",
        ),
        (lambda f: (f / "data.noun").unlink(), r"data\.noun: No such file"),
        (lambda f: (f / "data.noun").write_text(""), r"data\.noun, line 0: the file is cut short"),
    ],
)
def test_a_bad_line_is_named(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises(UserError, match=message) as error:
        read(folder)
    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize("name", ["data.noun", "index.noun"])
def test_a_truncated_file_is_refused_wherever_it_is_cut(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for end in [*range(0, len(whole), 997), whole.rindex(b"\n", 0, -1) + 1]:
        (folder / name).write_bytes(whole[:end])
        with pytest.raises(UserError):
            read(folder)


def test_changed_line_endings_are_refused(folder: Path) -> None:
    (folder / "data.noun").write_bytes((folder / "data.noun").read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(UserError, match=r"data\.noun, line 4: .* starts at byte 120, not 00000117"):
        read(folder)


def test_a_cycle_is_refused() -> None:
    synsets = {"a": Synset(("a",), "", ("b",)), "b": Synset(("b",), "", ("a",))}
    with pytest.raises(UserError, match=r"cycle: a -> b -> a|cycle: b -> a -> b"):
        ancestors(synsets)

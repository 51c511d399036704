"""Generated products with queries and labels, in the two files of ESCI. It is a sample for development: no number
measured on it is an ESCI score.

A product has a locale, a category, a brand, a colour and a size. Some categories are accessories of another one
(phone cases of phones). A query is made from a product: it names the product's category and one to three of brand,
colour and size, in words of its locale. Labels follow from these attributes alone (`labels`):

    E   the query's category, and all that the query asks of brand, colour and size
    S   the query's category, and exactly one of these differs
    C   an accessory of the query's category
    I   everything else

There are as many queries as products, or fewer in large samples, with a list of 11 to 16 judged products on average (8
if there are 200 products); 26% to 41% of the labels are E, 26% to 34% S, 5% to 10% C. No two queries of a locale ask
for the same, so no test query is a training query in other words. A category has three names. Titles have the first two
of them, queries all three, each in a third of the cases: what the third one means, only judgements tell.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from arrange.data.esci_files import EXAMPLES, LABELS, PRODUCTS
from arrange.data.esci_words import ACCESSORIES, CATEGORIES, COLOURS, DEPARTMENTS, SIZES, SYLLABLES
from arrange.errors import UserError, extra
from arrange.files import replacing

with extra("data"):
    import pyarrow.parquet as pq

LOCALES = ("us", "es", "jp")
LOCALE_SHARES = (0.7, 0.15, 0.15)
STYLES = ("Classic", "Compact", "Travel", "Studio", "Basic", "Max", "Mini", "Plus", "Sport", "Urban", "Origin", "Lite")
LETTERS = tuple("ABCDEFGHJKLMNPRSTUVWXYZ")
WISHES = ("brand", "colour", "size")  # bit 1, 2 and 4 of a query's mask
MASKS = (1, 2, 4, 3, 5, 6, 7)
MASK_SHARES = (0.2, 0.2, 0.1, 0.2, 0.1, 0.1, 0.1)
KINDS = ("fit", "near", "accessory", "category", "locale")  # where a judged product is drawn from
KIND_SHARES = (0.58, 0.19, 0.05, 0.05, 0.13)
TRIES = 3  # to make a query of each product that no other one asks for
TEST_SHARE = 0.2
LIST_LENGTH = (18.0, 0.5, 8, 188)  # lognormal: median, sigma; least and most
CHUNK = 50_000  # rows of products, or queries, that are in memory as text at a time


class Items(NamedTuple):
    """Attributes as codes, one array each, of shape N."""

    locale: np.ndarray
    category: np.ndarray
    brand: np.ndarray
    colour: np.ndarray
    size: np.ndarray


class Queries(NamedTuple):
    """Queries: the wishes, of which only those in `mask` count, and the product that each was made from."""

    wishes: Items
    mask: np.ndarray
    product: np.ndarray


def write(folder: Path, products: int, seed: int) -> None:
    """Write both files of a sample of `products` products into `folder`, chunk by chunk, whole or not at all.

    The same number and seed give the same bytes. Raises UserError below 200 products.
    """
    if products < 200:
        raise UserError(f"a sample of {products} products", "ask for at least 200: below, lists are too short")
    rng = np.random.default_rng(seed)
    items = draw_items(products, rng)
    queries = draw_queries(items, rng)
    brands = _brands(int(items.brand.max()) + 1, rng)
    with replacing(folder) as part:
        part.mkdir()
        _write(part / PRODUCTS, _products(items, brands, rng))
        _write(part / EXAMPLES, _examples(items, queries, brands, rng))


def draw_items(products: int, rng: np.random.Generator) -> Items:
    """The attributes of all products; frequent categories and brands are a few times as frequent as rare ones.

    A smaller sample has fewer categories, brands, colours and sizes, so that several products fit a query, but no more
    than its list can hold.
    """
    categories = _limited(products / 40, 10, len(CATEGORIES))
    brands = _limited(products**0.5 / 16, 3, 1000)  # per department
    category = rng.choice(categories, products, p=_falling(categories))
    return Items(
        locale=rng.choice(len(LOCALES), products, p=LOCALE_SHARES),
        category=category,
        brand=np.array(DEPARTMENTS)[category] * brands + rng.choice(brands, products, p=_falling(brands)),
        colour=rng.integers(_limited(products ** (1 / 3) / 3, 3, len(COLOURS)), size=products),
        size=rng.integers(_limited(products ** (1 / 3) / 4, 2, len(SIZES[0])), size=products),
    )


def draw_queries(items: Items, rng: np.random.Generator) -> Queries:
    """As many queries as there are products, or fewer if fewer combinations of wishes are distinct."""
    product = np.concatenate([rng.permutation(len(items.brand)) for _ in range(TRIES)])
    mask = rng.choice(MASKS, len(product), p=MASK_SHARES)
    wishes = Items(*(column[product] for column in items))
    _, first = np.unique(_keys(wishes, mask), return_index=True)
    kept = np.sort(first)[: len(items.brand)]
    return Queries(Items(*(column[kept] for column in wishes)), mask[kept], product[kept])


def labels(queries: Queries, query_N: np.ndarray, items: Items, product_N: np.ndarray) -> np.ndarray:
    """The label of each pair of a query and a product of its locale, as its place in `LABELS`: the rules above."""
    wished, item = queries.wishes, Items(*(column[product_N] for column in items))
    category_N = wished.category[query_N]
    broken_N = np.zeros(len(query_N), dtype=int)
    for bit, name in enumerate(WISHES):
        wanted_N = queries.mask[query_N] >> bit & 1 == 1
        broken_N += wanted_N & (getattr(wished, name)[query_N] != getattr(item, name))
    same_N = item.category == category_N
    accessory_N = (np.array(ACCESSORIES)[category_N] == item.category[:, None]).any(axis=1)
    return np.select([same_N & (broken_N == 0), same_N & (broken_N == 1), accessory_N], [0, 1, 2], 3)


def _limited(wanted: float, least: int, most: int) -> int:
    return min(max(round(wanted), least), most)


def _falling(count: int) -> np.ndarray:
    share = 1 / np.sqrt(np.arange(1, count + 1))
    return share / share.sum()


def _keys(items: Items, mask: np.ndarray | int) -> np.ndarray:
    """One number for locale, category and the attributes in the mask: equal where all of these are equal."""
    key = items.locale * (len(CATEGORIES) + 1) + items.category + 1  # category -1 is none
    for bit, name in enumerate(WISHES):
        wanted = np.asarray(mask) >> bit & 1
        key = key * 100_003 + wanted * (getattr(items, name) + 1)  # below 2 * 10^17: int64 holds it
    return key


class _Pools:
    """The products with equal attributes, those of a mask, as ranges of one sorted array per mask."""

    def __init__(self, items: Items) -> None:
        self.orders = [np.argsort(_keys(items, mask), kind="stable") for mask in range(8)]
        self.keys = [_keys(items, mask)[order] for mask, order in enumerate(self.orders)]

    def draw(self, wishes: Items, mask_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A product at random from the pool of each row, -1 where the pool is empty."""
        random_N, drawn_N = rng.random(len(mask_N)), np.full(len(mask_N), -1)
        for mask in range(8):
            here = np.flatnonzero(mask_N == mask)
            wanted = _keys(Items(*(column[here] for column in wishes)), mask)
            start, stop = (np.searchsorted(self.keys[mask], wanted, side) for side in ("left", "right"))
            place = start + (random_N[here] * (stop - start)).astype(int)
            drawn_N[here] = np.where(stop > start, self.orders[mask][np.minimum(place, len(self.keys[mask]) - 1)], -1)
        return drawn_N


def _judged(queries: Queries, rows: range, pools: _Pools, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of query and product: for each query of `rows` its own product and others, each product once."""
    median, sigma, least, most = LIST_LENGTH
    length_Q = np.clip(median * np.exp(sigma * rng.standard_normal(len(rows))), least, most).astype(int)
    query_N = np.repeat(np.arange(len(rows)), 2 * length_Q)  # twice as many as needed: some are drawn twice
    wishes, mask_N = _drawn_from(queries, query_N + rows.start, rng)
    product_N = pools.draw(wishes, mask_N, rng)
    product_N[np.searchsorted(query_N, np.arange(len(rows)))] = queries.product[rows.start : rows.stop]
    pairs = (
        pl.DataFrame({"query": query_N, "product": product_N, "length": length_Q[query_N]})
        .filter(pl.col("product") >= 0)
        .unique(["query", "product"], keep="first", maintain_order=True)
        .filter(pl.int_range(pl.len()).over("query") < pl.col("length"))
    )
    return pairs["query"].to_numpy() + rows.start, pairs["product"].to_numpy()


def _drawn_from(queries: Queries, query_N: np.ndarray, rng: np.random.Generator) -> tuple[Items, np.ndarray]:
    """The wishes and mask of the pool that each judged product is drawn from. They don't determine its label."""
    kind_N = rng.choice(KINDS, len(query_N), p=KIND_SHARES)
    wishes = Items(*(column[query_N] for column in queries.wishes))
    mask_N = queries.mask[query_N]
    bit_N = 1 << rng.integers(len(WISHES), size=len(query_N))
    less_N = np.where(mask_N & bit_N, mask_N & ~bit_N, mask_N & (mask_N - 1))  # one wish given up
    accessory_N = np.array(ACCESSORIES)[wishes.category, rng.integers(2, size=len(query_N))]
    any_N = rng.choice(len(CATEGORIES), len(query_N))
    category_N = np.select([kind_N == "accessory", kind_N == "locale"], [accessory_N, any_N], wishes.category)
    return wishes._replace(category=category_N), np.select([kind_N == "fit", kind_N == "near"], [mask_N, less_N], 0)


def _examples(items: Items, queries: Queries, brands: pl.Series, rng: np.random.Generator) -> Iterator[pl.DataFrame]:
    pools, written = _Pools(items), 0
    split_Q = pl.Series(np.where(rng.random(len(queries.mask)) < TEST_SHARE, "test", "train"))
    for start in range(0, len(queries.mask), CHUNK):
        rows = range(start, min(start + CHUNK, len(queries.mask)))
        text_Q = _query_texts(queries, rows, brands, rng)
        query_N, product_N = _judged(queries, rows, pools, rng)
        yield pl.DataFrame(
            {
                "example_id": np.arange(written, written + len(query_N)),
                "query": text_Q.gather(query_N - start),
                "query_id": query_N,
                "product_id": _product_ids(product_N),
                "product_locale": pl.Series(LOCALES).gather(items.locale[product_N]),
                "esci_label": pl.Series(list(LABELS)).gather(labels(queries, query_N, items, product_N)),
                "small_version": np.ones(len(query_N), dtype=int),
                "large_version": np.ones(len(query_N), dtype=int),
                "split": split_Q.gather(query_N),
            }
        )
        written += len(query_N)


def _query_texts(queries: Queries, rows: range, brands: pl.Series, rng: np.random.Generator) -> pl.Series:
    """The wishes as words, the brand in front or at the end."""
    wishes = Items(*(column[rows.start : rows.stop] for column in queries.wishes))
    mask = queries.mask[rows.start : rows.stop]
    in_front = rng.random(len(rows)) < 0.5
    frame = _words(wishes, brands, rng, names=3).with_columns(
        **{name: pl.when(pl.lit(mask >> bit & 1 == 1)).then(name) for bit, name in enumerate(WISHES)}
    )
    front, end = (pl.when(pl.lit(here)).then("brand") for here in (in_front, ~in_front))
    return frame.select(
        pl.concat_str(front, "colour", "category", "size", end, separator=" ", ignore_nulls=True).str.to_lowercase()
    ).to_series()


def _products(items: Items, brands: pl.Series, rng: np.random.Generator) -> Iterator[pl.DataFrame]:
    for start in range(0, len(items.brand), CHUNK):
        chunk = Items(*(column[start : start + CHUNK] for column in items))
        frame = _words(chunk, brands, rng, names=2)
        size = frame.height
        frame = frame.with_columns(
            style=pl.Series(STYLES).gather(rng.integers(len(STYLES), size=size)),
            model=pl.Series(LETTERS).gather(rng.integers(len(LETTERS), size=size))
            + pl.Series(rng.integers(10, 1000, size=size)).cast(pl.String),
            product_id=_product_ids(np.arange(start, start + size)),
            product_locale=pl.Series(LOCALES).gather(chunk.locale),
            shape=pl.Series(rng.integers(2, size=size)),
            **{name: pl.Series(rng.random(size)) for name in ("no_description", "no_points", "no_brand", "no_colour")},
        )
        yield frame.select(
            "product_id",
            product_title=pl.when(pl.col("shape") == 0)
            .then(pl.format("{} {} {}, {}, {} {}", "brand", "style", "category", "colour", "size", "model"))
            .otherwise(pl.format("{} {} {} {} ({}) {}", "brand", "colour", "category", "style", "size", "model")),
            product_description=pl.when(pl.col("no_description") > 0.5).then(
                pl.format("{} {}: {}, {}. {} {}.", "brand", "model", "category", "style", "colour", "size")
            ),
            product_bullet_point=pl.when(pl.col("no_points") > 0.15).then(
                pl.format("{}\n{}\n{}", "category", "colour", "size")
            ),
            product_brand=pl.when(pl.col("no_brand") > 0.07).then("brand"),
            product_color=pl.when(pl.col("no_colour") > 0.4).then("colour"),
            product_locale="product_locale",
        )


def _words(items: Items, brands: pl.Series, rng: np.random.Generator, names: int) -> pl.DataFrame:
    """Brand, colour, category and size in words of the locale; of a category's first `names` names one at random."""
    synonym = rng.integers(names, size=len(items.brand))
    return pl.DataFrame(
        {
            "brand": brands.gather(items.brand),
            "colour": np.array(COLOURS)[items.colour, items.locale],
            "category": np.array(CATEGORIES)[items.category, items.locale, synonym],
            "size": np.array(SIZES)[np.array(DEPARTMENTS)[items.category], items.size],
        }
    )


def _brands(count: int, rng: np.random.Generator) -> pl.Series:
    """Names of three syllables, all different."""
    code = rng.permutation(len(SYLLABLES) ** 3)[:count]
    parts = [np.array(SYLLABLES)[code // len(SYLLABLES) ** place % len(SYLLABLES)] for place in range(3)]
    return pl.Series(np.strings.add(np.strings.add(parts[0], parts[1]), parts[2])).str.to_titlecase()


def _product_ids(product_N: np.ndarray) -> pl.Series:
    return pl.Series(product_N).cast(pl.String).str.zfill(9).str.replace("^", "S")


def _write(path: Path, chunks: Iterator[pl.DataFrame]) -> None:
    first = next(chunks).to_arrow()
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for chunk in chunks:
            writer.write_table(chunk.to_arrow())

"""Reading params.yaml: the sections, a preset over them, overrides over both."""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from arrange.errors import UserError
from settings import paths
from settings.explain import explain, nearest
from settings.secrets import check_secrets
from settings.sections import Settings

PARAMS = Path("params.yaml")


class Loader(yaml.SafeLoader):
    """YAML as people write it and as DVC reads it: 1e-4 is a number, which PyYAML takes for a text."""


class Dumper(yaml.SafeDumper):
    """Writes YAML that `Loader` reads as the same values: a text like 1e-4 is quoted."""


for each in (Loader, Dumper):
    each.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )


def read(path: Path = PARAMS) -> Settings:
    """The settings in `path`, checked."""
    return validate(load(path), str(path))


def load(path: Path = PARAMS) -> dict[str, Any]:
    """The plain contents of a parameter file."""
    try:
        content = yaml.load(path.read_text(), Loader)
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}", "run from the top of a checkout") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise UserError(f"{path} isn't valid YAML: {where}", "mend that line, or `git restore` the file") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} has no sections", "`git restore` the file, or copy the one from the project")
    return content


def validate(params: Mapping[str, Any], source: str) -> Settings:
    """Typed settings, or a UserError that names the key, its value and the nearest valid one."""
    sections = {name: section for name, section in params.items() if name != "presets"}
    check_secrets(sections, source)
    try:
        return adapter().validate_json(json.dumps(sections, default=str), strict=True, extra="forbid")
    except ValidationError as failure:
        raise UserError(*explain(failure.errors(), source, Settings)) from None


@cache
def adapter() -> TypeAdapter[Settings]:
    """What reads the library's dataclasses: with strict types, bounds, and unknown keys refused."""
    return TypeAdapter(Settings)


def effective(params: Mapping[str, Any], preset: str | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Sections + preset + overrides, as a plain dictionary that validates.

    What nobody changes stays as it is written, without defaults, so that DVC finds it unchanged. But with a preset or
    overrides a run works in another folder, so the user's own places are absolute then.
    """
    layers = {str(PARAMS): {name: section for name, section in params.items() if name != "presets"}}
    if preset is not None:
        with_preset = apply(layers[str(PARAMS)], find_preset(params.get("presets"), preset))
        layers[f"{PARAMS}, preset {preset}"] = with_preset
    *_, last = layers.values()
    merged = apply(last, overrides)
    if preset is not None or overrides:
        merged = paths.of_user(merged, paths.home())
    layers["the overrides"] = merged
    try:
        validate(merged, "the overrides")
    except UserError:
        for source, sections in layers.items():  # the first layer that is wrong is the one to name
            validate(sections, source)
    return merged


def find_preset(presets: Any, name: str) -> Mapping[str, Any]:
    """The sections of one preset."""
    if not isinstance(presets, Mapping) or name not in presets:
        names = presets if isinstance(presets, Mapping) else []
        raise UserError(f"there is no preset {name!r} in {PARAMS}", nearest(name, names))
    if not isinstance(presets[name], Mapping):
        raise UserError(f"{PARAMS}: presets.{name} is {presets[name]!r}", "give it sections, or {} for none")
    return presets[name]


def apply(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `overlay` in it; nested sections are merged key by key, null takes a key away.

    >>> apply({"a": {"b": 1, "c": 2, "d": 4}}, {"a": {"b": 3, "d": None}})
    {'a': {'b': 3, 'c': 2}}
    """
    merged = dict(base) | {
        key: apply(base[key], new) if _are_sections(base.get(key), new) else new for key, new in overlay.items()
    }
    return {key: value for key, value in merged.items() if value is not None or key not in overlay}


def merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two overlays as one, which applies `first`, then `second`: what is null in one of them stays in it.

    >>> merge({"a": {"b": 1}}, {"a": {"c": None}})
    {'a': {'b': 1, 'c': None}}
    """
    return dict(first) | {
        key: merge(first[key], new) if _are_sections(first.get(key), new) else new for key, new in second.items()
    }


def _are_sections(old: Any, new: Any) -> bool:
    return isinstance(old, Mapping) and isinstance(new, Mapping)


def parse_overrides(assignments: Iterable[str]) -> dict[str, Any]:
    """Overrides as nested sections, from `section.key=value` words; values are YAML.

    >>> parse_overrides(["rank.beams=3", "rank.threads=2"])
    {'rank': {'beams': 3, 'threads': 2}}
    """
    overrides: dict[str, Any] = {}
    for word in assignments:
        path, equals, value = word.partition("=")
        if not equals or not all(path.split(".")):
            raise UserError(f"override {word!r} isn't of the form section.key=value", "for example rank.beams=30")
        override = parse_value(word, value)
        for key in reversed(path.split(".")):
            override = {key: override}
        overrides = merge(overrides, override)
    return overrides


def parse_value(word: str, value: str) -> Any:
    """The value of an override, read as YAML."""
    try:
        return yaml.load(value, Loader)
    except yaml.YAMLError:
        raise UserError(f"override {word!r}: {value!r} isn't valid YAML", "quote it, or close its bracket") from None


def with_own_data(params: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Overrides that put a folder's data in the place of the first data set, with all that is done to that one.

    The data set gets the folder's name. `params`: effective parameters, as `effective` gives them.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder", "name one with queries, documents and qrels")
    first, name = next(iter(params["datasets"])), _name_of(folder)
    if name in {*params["datasets"], "raw"}:
        raise UserError(f"{folder} has the name of a data set that is there", "rename it")
    entry = {"source": "folder", "raw": str(folder.resolve())}
    overrides: dict[str, Any] = {"datasets": {**dict.fromkeys(params["datasets"]), name: entry}}
    for section in ("sweep", "compare", "swap"):
        if params[section]["data"] == first:
            overrides[section] = {"data": name}
    chained = by_data(params)
    of_first = {key for entries in chained.values() for key, entry in entries.items() if entry["data"] == first}
    names = {first: name} | {key: f"{name}{key.removeprefix(first)}" for key in of_first}
    for section, entries in chained.items():
        renamed = {
            names[key]: entry | {"data": name} | _runs_of_other(entry, names)
            for key, entry in entries.items()
            if entry["data"] == first
        }
        overrides[section] = {**dict.fromkeys(entries), **renamed}  # None takes an entry away
    teacher = Path(params["finetune"]["teacher"]["table"])
    if teacher.parent == Path("candidates") and teacher.stem in names:
        overrides["finetune"] = {"teacher": {"table": f"candidates/{names[teacher.stem]}.parquet"}}
    return overrides


def by_data(sections: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The sections whose entries are each of one data set: catalogues, rankers, baselines ...; none that is empty.

    >>> by_data({"rankers": {"w-item": {"data": "w", "loss": "item"}}, "swap": {"data": "w", "of": []}, "fusions": {}})
    {'rankers': {'w-item': {'data': 'w', 'loss': 'item'}}}
    """
    return {name: section for name, section in sections.items() if section and all(map(_has_data, section.values()))}


def _has_data(entry: Any) -> bool:
    return isinstance(entry, Mapping) and "data" in entry


def with_bm25(sections: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Overrides that bring every ranker of a folder's data together with BM25, in the two ways that cost no training.

    A fusion of the two runs, and a reranking of BM25's first 100 documents; in_context the prompt could not hold these.
    `sections`: effective parameters with the data in them.
    """
    data = _name_of(folder)
    overrides: dict[str, Any] = {"fusions": {}, "reranked": {}}
    for name, entry in sections["rankers"].items():
        regime = entry.get("regime") or sections["prompt"]["regime"]
        if entry["data"] == data and regime == "corpus":
            system = name.removeprefix(f"{data}-")
            overrides["fusions"][f"{data}-bm25_{system}"] = {"data": data, "first": "bm25", "second": name}
            overrides["reranked"][f"{data}-{system}_reranks_bm25"] = {
                **{"data": data, "docids": entry["docids"], "ranker": name},
                **{"first": f"runs/{data}/bm25/run.parquet", "depth": 100},
            }
    return overrides


def _name_of(folder: Path) -> str:
    """What a folder's data set is called."""
    return re.sub(r"[^\w-]+", "_", folder.resolve().name)


def _runs_of_other(entry: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """What an entry says of the runs that it begins with, under new names of data sets and entries.

    >>> _runs_of_other({"first": "runs/w/w-dual/run.parquet", "depth": 9}, {"w": "mine", "w-dual": "mine-dual"})
    {'first': 'runs/mine/mine-dual/run.parquet'}
    """
    named = {key: entry[key] for key in ("first", "second", "ranker") if isinstance(entry.get(key), str)}
    return {
        key: value if value.startswith("/") else "/".join(names.get(part, part) for part in value.split("/"))
        for key, value in named.items()
    }

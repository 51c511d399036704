"""Reading params.yaml: the sections, a preset over them, overrides over both, and helpful errors."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import ValidationError

from arrange.errors import UserError
from settings.sections import TAKEN, Settings

PARAMS = Path("params.yaml")


def read(path: Path = PARAMS) -> Settings:
    """The settings in `path`, checked."""
    return validate(load(path), str(path))


def load(path: Path = PARAMS) -> dict[str, Any]:
    """The plain contents of a parameter file."""
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}", "run from the top of a checkout") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise UserError(f"{path} isn't valid YAML: {where}", "mend that line, or `git restore` the file") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} has no sections", "`git restore` the file, or copy the one from the project")
    return content


def effective(params: Mapping[str, Any], preset: str | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Sections + preset + overrides, as a plain dictionary that validates.

    What nobody changes stays as it is written, without defaults, so that DVC finds it unchanged.
    """
    sections = {name: section for name, section in params.items() if name != "presets"}
    validate(sections, str(PARAMS))
    if preset is not None:
        sections = apply(sections, find_preset(params.get("presets"), preset))
        validate(sections, f"{PARAMS}, preset {preset}")
    sections = apply(sections, overrides)
    validate(sections, "the overrides")
    return sections


def find_preset(presets: Any, name: str) -> Mapping[str, Any]:
    """The sections of one preset."""
    if not isinstance(presets, Mapping) or name not in presets:
        known = presets if isinstance(presets, Mapping) else []
        raise UserError(f"there is no preset {name!r} in {PARAMS}", nearest(name, known))
    if not isinstance(presets[name], Mapping):
        raise UserError(f"{PARAMS}: presets.{name} is {presets[name]!r}", "give it sections, or {} for none")
    return presets[name]


def apply(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `overlay` in it; nested sections are merged key by key, null takes a key away.

    >>> apply({"a": {"b": 1, "c": 2, "d": 4}}, {"a": {"b": 3, "d": None}})
    {'a': {'b': 3, 'c': 2}}
    """
    merged = dict(base) | {
        key: apply(base[key], new) if nested(base.get(key), new) else new for key, new in overlay.items()
    }
    return {key: value for key, value in merged.items() if value is not None or key not in overlay}


def merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two overlays as one, which applies `first`, then `second`: what is null in one of them stays in it.

    >>> merge({"a": {"b": 1}}, {"a": {"c": None}})
    {'a': {'b': 1, 'c': None}}
    """
    return dict(first) | {
        key: merge(first[key], new) if nested(first.get(key), new) else new for key, new in second.items()
    }


def nested(old: Any, new: Any) -> bool:
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
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise UserError(f"override {word!r}: {value!r} isn't valid YAML", "quote it, or close its bracket") from None


def with_own_data(settings: Settings, folder: Path) -> dict[str, Any]:
    """Overrides that put a folder's data in the place of the first data set, with all that is done to that.

    The data set gets the folder's name.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder", "name one with queries, documents and qrels")
    first, name = settings.datasets[0], re.sub(r"[^\w-]+", "_", folder.resolve().name)
    if name in TAKEN:
        raise UserError(f"{folder} has the name of a data set that is made here", "rename it")
    overrides: dict[str, Any] = {"own": {name: {"folder": str(folder.resolve())}}, "datasets": [name]}
    for section in ("sweep", "swap"):
        if getattr(settings, section).data == first:
            overrides[section] = {"data": name}
    for section in ("catalogues", "rankers", "baselines"):
        entries = getattr(settings, section)
        mine = {key: entry for key, entry in entries.items() if entry.data == first}
        renamed = {
            f"{name}{key.removeprefix(first)}": entry.model_dump(exclude_unset=True) | {"data": name}
            for key, entry in mine.items()
        }
        overrides[section] = dict.fromkeys(entries) | renamed  # None takes an entry away
    return overrides


def validate(params: Mapping[str, Any], source: str) -> Settings:
    """Typed settings, or a UserError that names the key, its value and the nearest valid one."""
    sections = {name: section for name, section in params.items() if name != "presets"}
    try:
        return Settings.model_validate(sections)
    except ValidationError as failure:
        errors = failure.errors()
        # of a misspelt key, that it is unknown says more than that the right one is missing
        error = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
        raise UserError(*explain(error, source)) from None


def explain(error: Any, source: str) -> tuple[str, str]:
    """The two lines of a validation error: what and where, then what to do."""
    path = [str(key) for key in error["loc"]]
    of_key = path[-1:] == ["[key]"]  # of a dictionary, it is the key itself that is wrong
    keys, kind = place(path[:-1] if of_key else path)
    name = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in ".".join(keys))
    is_what = f"{source}: {name} is {'not a setting' if of_key else repr(error['input'])}"
    match error["type"]:
        case "extra_forbidden":
            _, above = place(path[:-1])
            return f"{source}: {name} is not a setting", nearest(keys[-1], above.model_fields)
        case "missing":
            return f"{source}: {name} is missing", "add it, or `git restore params.yaml`"
        case "literal_error":
            valid = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            return is_what, nearest(str(error["input"]), valid)
        case "union_tag_invalid":
            tag, (discriminator, members) = error["ctx"]["tag"], union(kind)
            return f"{source}: {name}.{discriminator} is {tag!r}", nearest(tag, members)
        case "union_tag_not_found":
            discriminator, members = union(kind)
            return f"{source}: {name}.{discriminator} is missing", f"add it; valid: {', '.join(members)}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return is_what, "give it a section of keys and values"
        case "value_error":
            problem = str(error["ctx"]["error"])
            what, remedy = problem.rsplit("; ", 1) if "; " in problem else (problem, "change one of the two")
            return f"{source}: {name + ': ' if name else ''}{what}", remedy
    return is_what, error["msg"].replace("tuple", "list").replace("Tuple", "List")


def place(path: Sequence[str]) -> tuple[list[str], Any]:
    """The keys that a user writes for pydantic's path of an error, and the type that stands there.

    They differ in unions: the path has the chosen member's tag in it, as in losses.item.item.alpha.

    >>> place(["losses", "mine", "geometric", "rho"])[0]
    ['losses', 'mine', 'rho']
    """
    keys: list[str] = []
    kind: Any = Settings
    for key in path:
        discriminator, members = union(kind)
        if discriminator:
            kind = members[key]
            continue
        keys.append(key)
        if hasattr(kind, "model_fields"):
            field = kind.model_fields.get(key)
            kind = field.annotation if field else Any
        else:  # the values of a dictionary; what is in lists has no sections in it
            kind = get_args(kind)[-1] if get_origin(kind) is dict else Any
    return keys, kind


def union(kind: Any) -> tuple[str, dict[str, Any]]:
    """The key that tells a union's members apart, and the member of each of its values; "" and {} for other types."""
    if get_origin(kind) is not Annotated or not getattr(kind.__metadata__[0], "discriminator", None):
        return "", {}
    discriminator = kind.__metadata__[0].discriminator
    members = get_args(kind.__origin__)
    return discriminator, {
        tag: member for member in members for tag in get_args(member.model_fields[discriminator].annotation)
    }


def nearest(word: str, valid: Iterable[str]) -> str:
    """A line that says which valid word was probably meant."""
    names = list(dict.fromkeys(valid))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}valid: {', '.join(names) or 'none'}"

"""What is wrong with a parameter, in two lines: the key, its value, and the nearest valid one."""

import dataclasses
import difflib
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, get_args, get_origin, get_type_hints


def explain(errors: Sequence[Any], source: str, settings: type) -> tuple[str, str]:
    """The two lines for pydantic's errors of reading `settings`: what is wrong and where, then what to do."""
    # that a misspelt key is unknown says more than that the right one is missing
    error = next((each for each in errors if each["type"] == "unexpected_keyword_argument"), errors[0])
    path = [str(key) for key in error["loc"]]
    is_key = path[-1:] == ["[key]"]  # of a dictionary: its key is wrong, not the value
    keys, kind = place(path[:-1] if is_key else path, settings)
    name = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in ".".join(keys))
    is_what = f"{source}: {name} is {'not a setting' if is_key else repr(error.get('input'))}"
    match error["type"]:
        case "unexpected_keyword_argument":
            _, section = place(path[:-1], settings)
            return f"{source}: {name} is not a setting", nearest(keys[-1], get_type_hints(section))
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
        case "dataclass_type" | "dict_type":
            return is_what, "give it a section of keys and values"
        case "value_error":
            what, _, remedy = str(error["ctx"]["error"]).rpartition("; ")
            return f"{source}: {name + ': ' if name else ''}{what or remedy}", remedy if what else "change that value"
    return is_what, error["msg"].replace("tuple", "list").replace("Tuple", "List")


def place(path: Sequence[str], settings: type) -> tuple[list[str], Any]:
    """The keys that a user writes for pydantic's path of an error, and the type that stands there.

    They differ in unions: the path has the chosen member's tag in it, as in losses.item.item.alpha.
    """
    keys: list[str] = []
    kind: Any = settings
    for key in path:
        discriminator, members = union(kind)
        if discriminator and key in members:
            kind = members[key]
            continue
        keys.append(key)
        kind = kind.__origin__ if get_origin(kind) is Annotated else kind  # without its bounds
        if dataclasses.is_dataclass(kind):
            kind = get_type_hints(kind, include_extras=True).get(key, Any)
        else:  # the values of a dictionary; lists have no sections in them
            kind = get_args(kind)[-1] if get_origin(kind) is dict else Any
    return keys, kind


def union(kind: Any) -> tuple[str, dict[str, Any]]:
    """The key that tells a union's members apart, and the member of each of its values; "" and {} for other types."""
    if get_origin(kind) is not Annotated or not getattr(kind.__metadata__[0], "discriminator", None):
        return "", {}
    discriminator = kind.__metadata__[0].discriminator
    members = get_args(kind.__origin__)
    return discriminator, {tag: member for member in members for tag in get_args(get_type_hints(member)[discriminator])}


def nearest(word: str, valid: Iterable[str]) -> str:
    """A line that says which valid word was probably meant."""
    names = list(dict.fromkeys(valid))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}valid: {', '.join(names) or 'none'}"

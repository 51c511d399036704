"""Options that a user gives and a class of another library takes: whether it has them, and takes such values."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from arrange.errors import UserError

NONE: Mapping[str, str] = MappingProxyType({})


def check(
    options: Mapping[str, Any], where: str, taker: str, types: Mapping[str, Any], refused: Mapping[str, str] = NONE
) -> None:
    """Raise UserError for an option that `taker` has not, that means nothing here, or whose value is of another type.

    where: the section that the options stand in. types: of the taker's fields. refused: names, and why.
    """
    for name, value in options.items():
        if name in refused:
            raise UserError(f"{where}.{name} can't be set", refused[name])
        if name not in types:
            close = get_close_matches(str(name), types, n=1, cutoff=0.5)
            raise UserError(
                f"{where}.{name}: {taker} has no {name!r}",
                f"perhaps {close[0]!r}" if close else f"take it out; {taker} has others",
            )
        if not fits(value, types[name]):
            kind = getattr(types[name], "__name__", "") if not get_args(types[name]) else ""
            raise UserError(
                f"{where}.{name} is {value!r}", f"{taker} takes {kind or types[name]}".replace("typing.", "")
            )


def fits(value: Any, kind: Any) -> bool:
    """Whether a value that was read from YAML is of a type; what is no plain type is left to the class.

    >>> fits(3, float | None), fits("3", float | None), fits(True, int)
    (True, False, False)
    """
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in args)
    if origin is Annotated:
        return fits(value, args[0])
    if origin is Literal:
        # peft writes "pissa_niter_[number of iters]" for many words
        return any(type(value) is type(each) and (value == each or "[" in str(each)) for each in args)
    if origin is list:
        return isinstance(value, list) and all(fits(each, args[0]) for each in value)
    if kind in (int, float):
        return isinstance(value, (int, kind)) and not isinstance(value, bool)
    plain = origin or kind
    return plain is Any or not isinstance(plain, type) or isinstance(value, plain)

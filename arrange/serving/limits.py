"""What one server takes on: a flag of its command for each limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

from arrange.bounds import Count, CountOr0, Positive, PositiveOr0
from arrange.errors import UserError


@dataclass(frozen=True)
class Limits:
    """The limits of a server. Values from outside come through `limits`."""

    body: Annotated[Count, "bytes of a request, at most"] = 2**20
    queries: Annotated[Count, "queries of a request, at most"] = 256
    characters: Annotated[Count, "characters of a query, at most"] = 10_000
    beams: Annotated[Count, "width of a search, so documents for a query too, at most"] = 1000
    queue: Annotated[Count, "queries that wait, at most; what comes then is refused with 429"] = 512
    timeout: Annotated[Positive, "seconds from a request to its answer, at most; then it is refused with 503"] = 30.0
    batch: Annotated[CountOr0, "queries in one pass of the model, at most; 0: as many as the recipe says"] = 0
    wait: Annotated[PositiveOr0, "seconds that the first of a batch waits for others"] = 0.005


def described() -> dict[str, str]:
    """What each limit means."""
    return {name: hint.__metadata__[-1] for name, hint in get_type_hints(Limits, include_extras=True).items()}


def limits(values: Mapping[str, Any]) -> Limits:
    """The limits of these values, numbers or text. Raises UserError, naming the flag, for one out of bounds."""
    from pydantic import TypeAdapter, ValidationError  # of the extra `serving`, as all that calls this

    try:
        return TypeAdapter(Limits).validate_python(dict(values))
    except ValidationError as error:
        fault = error.errors()[0]
        raise UserError(f"--{fault['loc'][0]} is {fault['input']}", fault["msg"]) from None

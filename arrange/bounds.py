"""Bounded numbers for settings: a dataclass of the library declares a knob once, with its type and its bounds.

The bounds are `annotated_types`, which the library itself doesn't enforce. Whoever reads settings from a file does:
`settings/` lets pydantic read these dataclasses as they stand.
"""

from math import inf
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt, MinLen

Count = Annotated[int, Gt(0)]
CountOr0 = Annotated[int, Ge(0)]
Seed = Annotated[int, Ge(0)]
Positive = Annotated[float, Gt(0), Lt(inf)]
PositiveOr0 = Annotated[float, Ge(0), Lt(inf)]
Exponent = Annotated[float, Ge(0)]  # .inf in YAML puts all weight on the best
Share = Annotated[float, Ge(0), Lt(1)]
WholeShare = Annotated[float, Ge(0), Le(1)]
ShareAbove0 = Annotated[float, Gt(0), Lt(1)]
Rates = Annotated[tuple[Positive, ...], MinLen(1)]
Counts = Annotated[tuple[Count, ...], MinLen(1)]
Seeds = Annotated[tuple[Seed, ...], MinLen(1)]

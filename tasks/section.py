"""What sections of params.yaml are made of: a frozen model that refuses unknown keys, and checked numbers and names."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Whole = Annotated[int, Field(strict=True)]  # neither "400" nor true

Count = Annotated[int, Field(gt=0, strict=True)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]

AtLeast0 = Annotated[float, Field(ge=0)]
# a part of stages' names, of paths and of parameter names such as losses.<loss>, which a dot would split
Name = Annotated[str, Field(pattern=r"^[\w-]+$")]
Scheme = Literal["text", "atomic", "numeric", "semantic", "rq", "sparse", "shuffled"]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants")

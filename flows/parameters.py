"""The flows' parameters: how Prefect's page describes each, and the form of the overrides.

Prefect's server refuses what doesn't fit a form before it makes a run. The flow itself refuses the rest.
"""

from typing import Annotated, Any

from pydantic import GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema

from settings.params import PARAMS, adapter

NOT_FOR_A_PART = {"$defs", "required", "default", "minProperties", "discriminator"}


class Says(str):
    """The description of a parameter, as metadata of its type. (Prefect drops that of pydantic's Field.)"""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(core) | {"description": str(self)}


def partial(schema: dict[str, Any], models: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of a part of what `schema` describes; `models` are its definitions, which are put in place.

    Nothing is required, a member of a union need not say which one it is, unknown keys are refused, and an entry of a
    dictionary may be null, which takes it away.
    """
    if "$ref" in schema:
        schema = models[schema["$ref"].rpartition("/")[2]]
    form: dict[str, Any] = {}
    for key, value in schema.items():
        match key, value:
            case (("properties" | "patternProperties"), _):
                form[key] = {name: or_null(partial(inner, models)) for name, inner in value.items()}
            case (("oneOf" | "anyOf"), _):
                form["anyOf"] = [partial(member, models) for member in value]
            case "additionalProperties", {}:
                form[key] = or_null(partial(value, models))
            case "items", _:
                form[key] = partial(value, models)
            case _ if key not in NOT_FOR_A_PART:
                form[key] = value
    return form | ({"additionalProperties": False} if "properties" in form else {})


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of what may be null instead."""
    return {"anyOf": [schema, {"type": "null"}]}


def overrides_form() -> dict[str, Any]:
    """The JSON schema of overrides: of a part of all sections."""
    schema = adapter().json_schema()
    text = (
        f'Values over those of {PARAMS} and of the preset, e.g. {{"rank": {{"beams": 50}}}}; null takes an entry away'
    )
    return or_null(partial(schema, schema["$defs"])) | {"description": text}


Preset = Annotated[str | None, Says(f"A name under `presets` in {PARAMS}; none takes the sections as they stand")]
Overrides = Annotated[dict[str, Any] | None, WithJsonSchema(overrides_form())]
Parallel = Annotated[int, Says("How many stages may work at once")]

"""The flows' parameters, and how Prefect's page describes each. The flow itself checks them: `flows.run.run`."""

from typing import Annotated, Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from settings.params import PARAMS


class Says(str):
    """The description of a parameter, as metadata of its type. (Prefect drops that of pydantic's Field.)"""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(core) | {"description": str(self)}


VALUES = f'Values over those of {PARAMS} and of the preset, e.g. {{"rank": {{"beams": 100}}}}; null takes an entry away'
Preset = Annotated[str | None, Says(f"A name under `presets` in {PARAMS}; none takes the sections as they stand")]
Overrides = Annotated[dict[str, Any] | None, Says(VALUES)]
Parallel = Annotated[int, Says("How many stages may work at once")]

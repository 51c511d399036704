"""python -m tasks <stage> [<item>]: run the function of a stage's name in the module of its name."""

import sys
from importlib import import_module

from tasks import stage

stage.end_with_parent()  # before the stage's imports, which take seconds
name = sys.argv.pop(1)
stage.run(getattr(import_module(f"tasks.{name}"), name))

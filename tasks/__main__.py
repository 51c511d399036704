"""python -m tasks <stage> [<item>]: run the function of a stage's name in the module of its name."""

import os
import sys
from importlib import import_module

from tasks import stage

stage.end_with_parent()  # before the stage's imports, which take seconds
os.environ.setdefault("DVC_STAGE", "@".join(sys.argv[1:3]))  # of a stage that is started by hand
name = sys.argv.pop(1)
stage.run(getattr(import_module(f"tasks.{name}"), name))

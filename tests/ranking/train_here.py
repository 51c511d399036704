"""Trains a tiny model in a process of its own, into the folder it is given; see test_train.py."""

import json
import sys
from pathlib import Path

from test_train import PAD, SETTINGS, examples, tiny

from arrange.ranking.train import train

folder = Path(sys.argv[1])
history = train(tiny(), examples(alpha=1.0), PAD, folder, **SETTINGS, steps=20, learning_rate=1e-2)
folder.with_suffix(".json").write_text(json.dumps(history))

"""A flow starts without torch, transformers and scikit-learn, which take seconds to import."""

import subprocess
import sys

CODE = """
import importlib, pkgutil, sys
import arrange.data, arrange.docids
for package in (arrange.data, arrange.docids):
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if module.name not in ("arrange.docids.torch_trie", "arrange.docids.lexical_training"):
            importlib.import_module(module.name)
            slow = {"torch", "transformers", "sklearn"} & sys.modules.keys()
            assert not slow, f"{module.name} imports {slow}"
"""


def test_data_and_docids_import_without_torch_transformers_and_sklearn() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_settings_of_data_sets_and_schemes_import_nothing_slow() -> None:
    code = (
        "import sys, arrange.data.datasets, arrange.docids.schemes, arrange.models.vectors\n"
        "print(*{'torch', 'transformers', 'sklearn', 'pyarrow', 'requests', 'pydantic'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"

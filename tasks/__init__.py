"""The steps, one module each. Every step computes with the same instructions, whatever the CPU offers.

A newer x86 CPU would round otherwise; this pins kernels to AVX2 (measured: no cost on a CPU that has no
more). It must be set before torch and numpy are imported, hence here. So must the places of caches, which a user may
have given relative to the checkout: a stage may work in another folder.
"""

import os
import platform

from settings.paths import home, of_environment

if platform.machine() in ("x86_64", "AMD64"):
    os.environ.setdefault("MKL_CBWR", "AVX2")
    os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
    os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")  # numpy's and scipy's: docIDs by k-means differ without
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.update(of_environment(os.environ, home()))

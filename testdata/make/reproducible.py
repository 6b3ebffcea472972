"""Pins what decides the last bits of a NumPy result; to be imported before NumPy.

OpenBLAS and NumPy choose kernels by processor, and each kernel sums in its own order. One thread, the Haswell BLAS
kernels and no AVX-512 loops give the same bits on every x86-64 processor with AVX2.
"""

import os
import sys

if "numpy" in sys.modules:
    raise ImportError("import reproducible before numpy: the settings are read when NumPy loads")

os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OPENBLAS_CORETYPE"] = "Haswell"
os.environ["NPY_DISABLE_CPU_FEATURES"] = "X86_V4 AVX512_ICL AVX512_SPR"

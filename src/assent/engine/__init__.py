"""The machinery: layouts, attention, models, sampling, gradients. It knows no algorithm."""

import os

# A row is as long as its texts, so that oneDNN, which keeps a kernel for each of the last 1024 shapes, would fill half
# a gigabyte with kernels that never come back. Few are enough: those of one step. Read when torch makes its first.
for _capacity in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(_capacity, "48")

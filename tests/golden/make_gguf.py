#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""Make `blocks.gguf` with the package gguf of llama.cpp: quantised tensors, the weights that they stand
for by that package, and metadata of every type.

Usage::

    pip install gguf==0.19.0 numpy
    python3 make_gguf.py
"""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize, quantize

ROWS, COLUMNS = 3, 512
SEED = 7
FORMATS = ["Q8_0", "Q4_0", "Q4_K", "Q6_K"]


def random_blocks(random: np.random.Generator, kind: GGMLQuantizationType) -> np.ndarray:
    """Blocks of random bits, whose half-precision scales are numbers of about 2^-8 of either sign."""
    weights, size = GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (ROWS * COLUMNS // weights, size), dtype=np.uint8)
    halves = {"Q4_K": [0, 2], "Q6_K": [208]}[kind.name]
    for offset in halves:
        scale = random.normal(0, 2**-8, blocks.shape[0]).astype(np.float16)
        blocks[:, offset : offset + 2] = scale.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(ROWS, -1)


def main() -> None:
    random = np.random.default_rng(SEED)
    writer = GGUFWriter(Path(__file__).parent / "blocks.gguf", "qwen35")
    writer.add_uint8("test.u8", 200)
    writer.add_int8("test.i8", -3)
    writer.add_uint16("test.u16", 65535)
    writer.add_int16("test.i16", -300)
    writer.add_int32("test.i32", -70000)
    writer.add_float32("test.f32", 0.25)
    writer.add_bool("test.bool", True)
    writer.add_uint64("test.u64", 1 << 40)
    writer.add_int64("test.i64", -5)
    writer.add_float64("test.f64", 1e100)
    writer.add_array("test.words", ["one", "", "drei"])
    writer.add_key_value("test.numbers", [7, 8, 9], GGUFValueType.ARRAY, GGUFValueType.UINT32)
    for name in FORMATS:
        kind = GGMLQuantizationType[name]
        if name in ("Q8_0", "Q4_0"):
            weights = random.normal(0, 0.1, (ROWS, COLUMNS)).astype(np.float32)
            blocks = quantize(weights, kind)
        else:
            blocks = random_blocks(random, kind)
        writer.add_tensor(f"{name}.blocks", blocks, raw_dtype=kind)
        writer.add_tensor(f"{name}.weights", dequantize(blocks, kind).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()

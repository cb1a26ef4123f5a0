#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""Export the example model to a GGUF file of architecture qwen35, with the package gguf of llama.cpp.

Usage::

    pip install gguf numpy
    python3 export_gguf.py model.gguf [--type BF16 | F16 | F32 | Q8_0 | Q4_0 | Q4_K | Q6_K] [--split N]
    python3 export_gguf.py --check PROGRAM    # exports and runs PROGRAM --check --model on it

What the converter of llama.cpp does to such a model: names, value heads in tiled order, -exp(A_log), norms
with their 1 added. --split writes files of N tensors at most. With --check it exports a whole file and a
split one, and exits with 77 where the packages are not there.

The formats of 256 weights fit rows of 256 only, of which this model has the output projections: with Q4_K
all else is Q4_0, with Q6_K Q8_0. They are quantised here, without the search for the best scales that
llama.cpp does, as the package cannot.
"""

import argparse
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import gguf
    import numpy as np
except ImportError as missing:
    print(f"export_gguf.py: needs gguf and numpy from PyPI: {missing}")
    sys.exit(77)

MODEL = Path(__file__).parent / "model"


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Tensors of dtype BF16 or F32 as float32."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, info in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        begin, end = info["data_offsets"]
        raw = data[8 + length + begin : 8 + length + end]
        if info["dtype"] == "BF16":
            values = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            assert info["dtype"] == "F32", info
            values = np.frombuffer(raw, np.float32)
        tensors[name] = values.reshape(info["shape"])
    return tensors


def tiled(rows: np.ndarray, key_heads: int, per_key_head: int) -> np.ndarray:
    """Value heads, a share of the first dimension each, from grouped to tiled order."""
    heads = rows.reshape(key_heads, per_key_head, -1, *rows.shape[1:])
    return heads.swapaxes(0, 1).reshape(rows.shape)


def layer_tensors(tensors: dict[str, np.ndarray], prefix: str, config: dict) -> dict[str, np.ndarray]:
    """The linear-attention layer under its GGUF names."""
    key_heads = config["linear_num_key_heads"]
    ratio = config["linear_num_value_heads"] // key_heads
    key_rows = 2 * key_heads * config["linear_key_head_dim"]

    def values(rows: np.ndarray) -> np.ndarray:
        return tiled(rows, key_heads, ratio)

    def values_behind_keys(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([rows[:key_rows], values(rows[key_rows:])])

    get = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
    return {
        "attn_qkv.weight": values_behind_keys(get["in_proj_qkv.weight"]),
        "attn_gate.weight": values(get["in_proj_z.weight"]),
        "ssm_beta.weight": values(get["in_proj_b.weight"]),
        "ssm_alpha.weight": values(get["in_proj_a.weight"]),
        "ssm_conv1d.weight": values_behind_keys(get["conv1d.weight"][:, 0, :]),
        "ssm_a": -np.exp(values(get["A_log"])),
        "ssm_dt.bias": values(get["dt_bias"]),
        "ssm_norm.weight": get["norm.weight"],
        "ssm_out.weight": values(get["out_proj.weight"].T).T,
    }


def halves(values: np.ndarray) -> np.ndarray:
    """Bytes [n, 2] of half precision."""
    return values.astype(np.float16).view(np.uint8).reshape(-1, 2)


def divided(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Nearest integers of values / steps, 0 where a step is 0."""
    return np.rint(np.divide(values, steps, out=np.zeros_like(values), where=steps != 0)).astype(np.int32)


def quantize_q4_k(rows: np.ndarray) -> np.ndarray:
    """Blocks of 256 as eight groups of 32: w = d scale q - m min."""
    w = rows.reshape(-1, 8, 32)
    low = np.maximum(0, -w.min(axis=2))
    step = (w.max(axis=2) + low).clip(0) / 15
    d = np.float16(step.max(axis=1) / 63).astype(np.float32)
    m = np.float16(low.max(axis=1) / 63).astype(np.float32)
    scale, minimum = (divided(x, np.broadcast_to(y[:, None], x.shape)).clip(0, 63) for x, y in ((step, d), (low, m)))
    offset = (m[:, None] * minimum)[:, :, None]
    q = divided(w + offset, np.broadcast_to((d[:, None] * scale)[:, :, None], w.shape)).clip(0, 15)
    packed = np.zeros((len(w), 12), np.int32)  # as linear/ggml_blocks.hpp reads them
    packed[:, 0:4] = scale[:, :4] | scale[:, 4:] >> 4 << 6
    packed[:, 4:8] = minimum[:, :4] | minimum[:, 4:] >> 4 << 6
    packed[:, 8:12] = scale[:, 4:] & 15 | (minimum[:, 4:] & 15) << 4
    nibbles = q[:, 0::2] | q[:, 1::2] << 4
    parts = (halves(d), halves(m), packed, nibbles.reshape(len(w), 128))
    return np.concatenate(parts, axis=1).astype(np.uint8).reshape(len(rows), -1)


def quantize_q6_k(rows: np.ndarray) -> np.ndarray:
    """Blocks of 256 as sixteen groups of 16: w = d scale (q - 32)."""
    w = rows.reshape(-1, 16, 16)
    step = np.abs(w).max(axis=2) / 31
    d = np.float16(step.max(axis=1) / 127).astype(np.float32)
    scale = divided(step, np.broadcast_to(d[:, None], step.shape)).clip(0, 127)
    q = divided(w, np.broadcast_to((d[:, None] * scale)[:, :, None], w.shape)).clip(-32, 31) + 32
    q = q.reshape(-1, 2, 4, 32)
    low = q & 15
    four = np.concatenate([low[:, :, 0] | low[:, :, 2] << 4, low[:, :, 1] | low[:, :, 3] << 4], axis=2)
    two = sum(q[:, :, i] >> 4 << 2 * i for i in range(4))
    parts = (four.reshape(len(w), 128), two.reshape(len(w), 64), scale, halves(d))
    return np.concatenate(parts, axis=1).astype(np.uint8).reshape(len(rows), -1)


def blocks_of(values: np.ndarray, kind: gguf.GGMLQuantizationType) -> tuple[np.ndarray, gguf.GGMLQuantizationType]:
    """The rows in that format, or in the one that stands in for it where they are too short."""
    types = gguf.GGMLQuantizationType
    by_256 = {types.Q4_K: (quantize_q4_k, types.Q4_0), types.Q6_K: (quantize_q6_k, types.Q8_0)}
    if kind not in by_256:
        return gguf.quants.quantize(values, kind), kind
    quantize, instead = by_256[kind]
    return (quantize(values), kind) if values.shape[1] % 256 == 0 else blocks_of(values, instead)


def export(path: Path, kind: gguf.GGMLQuantizationType, split: int = 0) -> None:
    config = json.loads((MODEL / "config.json").read_text())
    tensors = read_safetensors(MODEL / "model.safetensors")
    blocks = config["num_hidden_layers"]
    writer = gguf.GGUFWriter(path, "qwen35", split_max_tensors=split)
    for key, value in {
        "block_count": blocks,
        "full_attention_interval": blocks + 1,  # no block is full attention
        "embedding_length": config["hidden_size"],
        "feed_forward_length": config["intermediate_size"],
        "context_length": config["max_position_embeddings"],
        "ssm.conv_kernel": config["linear_conv_kernel_dim"],
        "ssm.inner_size": config["linear_num_value_heads"] * config["linear_value_head_dim"],
        "ssm.state_size": config["linear_key_head_dim"],
        "ssm.time_step_rank": config["linear_num_value_heads"],
        "ssm.group_count": config["linear_num_key_heads"],
    }.items():
        writer.add_uint32(f"qwen35.{key}", value)
    writer.add_float32("qwen35.attention.layer_norm_rms_epsilon", config["rms_norm_eps"])

    def add(name: str, values: np.ndarray) -> None:
        values = np.ascontiguousarray(values, np.float32)
        small = values.ndim == 1 or name.endswith("ssm_conv1d.weight")
        if small or kind == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(name, values)
        else:
            blocks, written = blocks_of(values, kind)
            writer.add_tensor(name, blocks, raw_dtype=written)

    add("token_embd.weight", tensors["model.embed_tokens.weight"])
    add("output_norm.weight", 1 + tensors["model.norm.weight"])
    for i in range(blocks):
        source = f"model.layers.{i}."
        layer = layer_tensors(tensors, source + "linear_attn.", config)
        layer |= {
            "attn_norm.weight": 1 + tensors[source + "input_layernorm.weight"],
            "post_attention_norm.weight": 1 + tensors[source + "post_attention_layernorm.weight"],
            "ffn_gate.weight": tensors[source + "mlp.gate_proj.weight"],
            "ffn_up.weight": tensors[source + "mlp.up_proj.weight"],
            "ffn_down.weight": tensors[source + "mlp.down_proj.weight"],
        }
        for name, values in layer.items():
            add(f"blk.{i}.{name}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--type", default="BF16", choices=["BF16", "F16", "F32", "Q8_0", "Q4_0", "Q4_K", "Q6_K"])
    parser.add_argument("--split", type=int, default=0, metavar="N")
    parser.add_argument("--check", metavar="PROGRAM")
    arguments = parser.parse_args()
    if (arguments.file is None) == (arguments.check is None):
        parser.error("a file to write, or --check PROGRAM")
    kind = gguf.GGMLQuantizationType[arguments.type]
    if arguments.file is not None:
        export(arguments.file, kind, arguments.split)
        return 0
    for split, name in (0, "model.gguf"), (20, "model-00001-of-00003.gguf"):
        with tempfile.TemporaryDirectory() as folder:
            export(Path(folder) / "model.gguf", kind, split)
            command = [arguments.check, "--check", "--model", Path(folder) / name]
            if status := subprocess.run(command, check=False).returncode:
                return status
    return 0


if __name__ == "__main__":
    sys.exit(main())

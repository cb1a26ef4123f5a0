#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""Export the example model to a GGUF file of architecture qwen35, with the package gguf of llama.cpp.

Usage::

    pip install gguf numpy
    python3 export_gguf.py model.gguf [--type BF16 | F16 | F32 | Q8_0 | Q4_0]
    python3 export_gguf.py --check PROGRAM    # exports and runs PROGRAM --check --model on it

What the converter of llama.cpp does to such a model: names, value heads in tiled order, -exp(A_log), norms
with their 1 added. With --check it exits with 77 where the packages are not there.
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


def export(path: Path, kind: gguf.GGMLQuantizationType) -> None:
    config = json.loads((MODEL / "config.json").read_text())
    tensors = read_safetensors(MODEL / "model.safetensors")
    blocks = config["num_hidden_layers"]
    writer = gguf.GGUFWriter(path, "qwen35")
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
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

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
    parser.add_argument("--type", default="BF16", choices=["BF16", "F16", "F32", "Q8_0", "Q4_0"])
    parser.add_argument("--check", metavar="PROGRAM")
    arguments = parser.parse_args()
    if (arguments.file is None) == (arguments.check is None):
        parser.error("a file to write, or --check PROGRAM")
    kind = gguf.GGMLQuantizationType[arguments.type]
    if arguments.file is not None:
        export(arguments.file, kind)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        export(path, kind)
        return subprocess.run([arguments.check, "--check", "--model", path], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

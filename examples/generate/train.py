#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""Train the small byte-level language model in ``model/`` from scratch.

The model is an ordinary transformers ``Qwen3_5ForCausalLM`` in which every layer is a
Gated DeltaNet (``linear_attention``) layer. The vocabulary is the 256 byte values, so
no tokenizer is needed, and it is small enough to be trained on one CPU core in well
under an hour.

What it needs:

* the packages of ``requirements.txt``;
* Debian or a relative: the text is Jane Austen's six novels, taken out of the package
  ``r-cran-janeaustenr`` with ``apt-get download`` and ``dpkg-deb`` (no root, nothing is
  installed, R is not needed). Run ``apt-get update`` first if apt has no package lists.

Usage::

    python3 train.py --work WORKDIR          # about 40 minutes; run again to resume
    python3 record.py                        # then write model/expected.safetensors

WORKDIR receives the text and the checkpoints. The result goes to ``model/``.
"""

import argparse
import functools
import math
import os
import struct
import subprocess
import time
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import Qwen3_5ForCausalLM, Qwen3_5TextConfig
from transformers.models.qwen3_5 import modeling_qwen3_5

PACKAGE = "r-cran-janeaustenr"
BOOKS = ("emma", "mansfieldpark", "northangerabbey", "persuasion", "prideprejudice", "sensesensibility")
MODEL_DIR = Path(__file__).resolve().parent / "model"

SEED = 20261124
BATCH = 4
LENGTH = 256
PEAK_LR = 3e-3
FINAL_LR = 3e-5
WARMUP = 100
HELD_OUT = 0.03  # the last part of each book


# ---------------------------------------------------------------- text


def read_strings(blob):
    """Decode an R character vector in R's serialisation format (version 3, XDR)."""
    assert blob[:2] == b"X\n" and struct.unpack_from(">i", blob, 2)[0] == 3
    pos = 2 + 3 * 4
    pos += 4 + struct.unpack_from(">i", blob, pos)[0]  # name of the native encoding
    kind, count = struct.unpack_from(">ii", blob, pos)
    assert kind & 0xFF == 16, "not a character vector"
    pos += 8
    strings = []
    for _ in range(count):
        size = struct.unpack_from(">i", blob, pos + 4)[0]
        strings.append(blob[pos + 8 : pos + 8 + size].decode("utf-8"))
        pos += 8 + size
    return strings


def read_books(rdb):
    """Return the lines of each book in an R lazy-load data base, in the order of BOOKS.

    Such a file is a row of records, each a 4-byte size followed by a zlib stream.
    """
    books, pos = [], 0
    while pos < len(rdb):
        stream = zlib.decompressobj()
        books.append(read_strings(stream.decompress(rdb[pos + 4 :])))
        pos = len(rdb) - len(stream.unused_data)
    assert len(books) == len(BOOKS)
    return books


def tidy(lines):
    """Join the wrapped lines of each paragraph; one line per paragraph, plain ASCII."""
    paragraphs = "\n".join(line.strip() for line in lines).split("\n\n")
    text = "\n".join(" ".join(p.split()) for p in paragraphs if p.strip())
    return text.replace("_", "").encode("ascii", "ignore")


def fetch_text(work):
    """Return {book: bytes}, fetching and unpacking the Debian package on first use."""
    data = work / "package/usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"
    if not data.exists():
        print(f"text: apt-get download {PACKAGE}", flush=True)
        subprocess.run(["apt-get", "download", PACKAGE], cwd=work, check=True)
        package = next(work.glob(PACKAGE + "_*.deb"))
        subprocess.run(["dpkg-deb", "-x", package, work / "package"], check=True)
    return {name: tidy(lines) for name, lines in zip(BOOKS, read_books(data.read_bytes()))}


def split_text(books):
    """Return (training bytes, held-out bytes) as uint8 arrays."""
    train, held_out = [], []
    for text in books.values():
        cut = int(len(text) * (1 - HELD_OUT))
        train.append(text[:cut])
        held_out.append(text[cut:])
    return tuple(np.frombuffer(b"\n".join(part), np.uint8) for part in (train, held_out))


# ---------------------------------------------------------------- model


def make_model():
    """Build the model. transformers accepts a Qwen3.5 without any full-attention layer."""
    config = Qwen3_5TextConfig(
        vocab_size=256,
        hidden_size=128,
        num_hidden_layers=4,
        intermediate_size=320,
        layer_types=["linear_attention"] * 4,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        linear_key_head_dim=32,
        linear_value_head_dim=64,
        linear_conv_kernel_dim=4,
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        # The attention settings are never used; small numbers keep the config readable.
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=LENGTH,
    )
    model = Qwen3_5ForCausalLM(config)
    with torch.no_grad():
        for layer in model.model.layers:
            init_decay(layer.linear_attn)
    return model


def init_decay(mixer):
    """Start with slow to moderate forgetting (transformers' default forgets at once)."""
    mixer.A_log.uniform_(0.5, 16.0).log_()
    dt = torch.empty_like(mixer.dt_bias).uniform_(math.log(1e-3), math.log(1e-1)).exp()
    mixer.dt_bias.copy_(dt + torch.log(-torch.expm1(-dt)))


def make_optimizer(model):
    """AdamW with weight decay on the matrices only."""
    matrices = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim != 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK_LR, betas=(0.9, 0.98), fused=True)


def learning_rate(step, progress):
    """Linear warm-up, then a cosine from PEAK_LR to FINAL_LR as progress goes to 1."""
    if step < WARMUP:
        return PEAK_LR * (step + 1) / WARMUP
    return FINAL_LR + (PEAK_LR - FINAL_LR) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


# ---------------------------------------------------------------- training


def windows(data, count, seed):
    """Return `count` random windows of LENGTH + 1 bytes as an int64 tensor."""
    starts = np.random.default_rng(seed).integers(0, len(data) - LENGTH - 1, count)
    return torch.from_numpy(np.stack([data[s : s + LENGTH + 1] for s in starts]).astype(np.int64))


def bits_per_byte(model, batch):
    """Mean cross entropy of the next byte, in bits."""
    logits = model(batch[:, :-1], use_cache=False).logits
    loss = F.cross_entropy(logits.reshape(-1, 256), batch[:, 1:].reshape(-1))
    return loss / math.log(2)


@torch.no_grad()
def evaluate(model, data):
    """Bits per byte over 128 fixed held-out windows."""
    batch = windows(data, 128, SEED)
    return sum(bits_per_byte(model, part).item() for part in batch.split(16)) / 8


def save_checkpoint(path, model, optimizer, step, elapsed):
    """Write a checkpoint so that a stopped run leaves the previous one intact."""
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "elapsed": elapsed}
    torch.save(state, path.with_suffix(".new"))
    os.replace(path.with_suffix(".new"), path)


def load_checkpoint(path, model, optimizer):
    """Return (step, elapsed seconds); zeros when there is no checkpoint."""
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    print(f"resumed at step {state['step']}", flush=True)
    return state["step"], state["elapsed"]


def train(model, train_data, held_out, checkpoint, steps, minutes):
    """Run until `steps` steps or `minutes` minutes; the schedule anneals by whichever is nearer."""
    optimizer = make_optimizer(model)
    step, before = load_checkpoint(checkpoint, model, optimizer)
    start = time.time()
    while True:
        elapsed = before + time.time() - start
        progress = max(step / steps, elapsed / (minutes * 60))
        if progress >= 1:
            break
        rate = learning_rate(step, progress)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = bits_per_byte(model, windows(train_data, BATCH, [SEED, step]))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 50 == 0:
            eta = elapsed * (1 / progress - 1) / 60 if progress else float("nan")
            speed = step * BATCH * LENGTH / elapsed
            print(f"step {step:5d}  {loss.item():.3f} bits/byte  lr {rate:.1e}  "
                  f"{speed:.0f} tokens/s  ETA {eta:.1f} min", flush=True)
        if step % 500 == 0:
            print(f"step {step:5d}  held-out {evaluate(model, held_out):.4f} bits/byte", flush=True)
            save_checkpoint(checkpoint, model, optimizer, step, elapsed)
    save_checkpoint(checkpoint, model, optimizer, step, elapsed)
    print(f"trained: {step} steps, {step * BATCH * LENGTH} bytes, {elapsed / 60:.1f} minutes", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the text and the checkpoints")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--minutes", type=float, default=40.0, help="anneal early on a slower machine")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)

    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)
    # Shorter chunks compute the same function and are faster for heads this small.
    modeling_qwen3_5.torch_chunk_gated_delta_rule = functools.partial(
        modeling_qwen3_5.torch_chunk_gated_delta_rule, chunk_size=32)

    train_data, held_out = split_text(fetch_text(args.work))
    model = make_model()
    print(f"text: {len(train_data)} training and {len(held_out)} held-out bytes; "
          f"model: {sum(p.numel() for p in model.parameters())} parameters", flush=True)
    train(model, train_data, held_out, args.work / "checkpoint.pt", args.steps, args.minutes)

    model.to(torch.bfloat16).save_pretrained(MODEL_DIR)
    (MODEL_DIR / "generation_config.json").unlink(missing_ok=True)
    reloaded = Qwen3_5ForCausalLM.from_pretrained(MODEL_DIR, dtype=torch.float32)
    print(f"saved {MODEL_DIR.name}/ as bfloat16: held-out {evaluate(reloaded, held_out):.4f} bits/byte", flush=True)


if __name__ == "__main__":
    main()

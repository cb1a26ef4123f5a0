#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""Record what transformers computes with ``model/``: write ``model/expected.safetensors``.

Usage::

    python3 record.py            # write the file
    python3 record.py --check    # recompute and compare with the file

The saved bfloat16 weights are raised to float32 and everything runs in float32 on the CPU.
The file holds ``prompt`` U8 [n], ``prompt_logits`` F32 [n, 256] (the whole prompt in one
call), ``greedy`` U8 [200] (the most likely continuation, one token a time on the cache that
the prompt left), ``sample`` U8 [200] (a continuation drawn at temperature 0.6) and
``sample_logits`` F32 [32, 256] (the logits that the last 32 bytes of the sample were drawn
from). Its metadata tell the versions and ``min_margin``, the smallest difference between the
two highest logits over the 200 greedy choices.
"""

import argparse
import datetime
import hashlib
import sys
from pathlib import Path

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import DynamicCache, Qwen3_5ForCausalLM

MODEL_DIR = Path(__file__).resolve().parent / "model"
EXPECTED = MODEL_DIR / "expected.safetensors"
COUNT = 200
TEMPERATURE = 0.6
SEED = 1
KEPT_LOGITS = 32
TOLERANCE = 1e-3  # largest allowed difference between two float32 runs

# From the held-out end of Mansfield Park.
PROMPT = (
    b"Even in the midst of his late infatuation, he had acknowledged Fanny's mental superiority. "
    b"What must be his sense of it now, therefore? She was of course only too good for him; "
    b"but as nobody minds having what is too good"
)


def step(model, tokens, cache, position):
    """Run a row of tokens on the cache; returns the logits [n, 256].

    transformers 5.23 cannot ask a cache without attention layers how long it is. Giving the
    positions and the (empty) masks spares it the question; ``generate`` does not work.
    """
    positions = torch.arange(position, position + len(tokens))[None]
    masks = {"linear_attention": None, "full_attention": None}
    return model(tokens[None], position_ids=positions, attention_mask=masks,
                 past_key_values=cache, use_cache=True).logits[0]


@torch.no_grad()
def compute(model, prompt, count, choose=torch.argmax):
    """Return (prompt logits, `count` more tokens, the logits each of them was chosen from)."""
    cache = DynamicCache(config=model.config)
    prompt_logits = step(model, prompt, cache, 0)
    tokens, chosen_from = [], [prompt_logits[-1]]
    for i in range(count):
        tokens.append(choose(chosen_from[-1]))
        chosen_from.append(step(model, tokens[-1][None], cache, len(prompt) + i)[0])
    return prompt_logits, torch.stack(tokens), torch.stack(chosen_from[:-1])


def sampler(seed):
    """Return a function that draws a token from logits at TEMPERATURE."""
    generator = torch.Generator().manual_seed(seed)
    return lambda logits: torch.multinomial(torch.softmax(logits / TEMPERATURE, -1), 1, generator=generator)[0]


@torch.no_grad()
def call_difference(model, prompt, tokens, chosen_from):
    """Largest logit difference between the token-by-token run and one call over all tokens."""
    everything = torch.cat([prompt, tokens])
    together = step(model, everything, DynamicCache(config=model.config), 0)
    return (together[len(prompt) - 1 : -1] - chosen_from).abs().max().item()


def write(tensors, margin):
    """Write expected.safetensors."""
    save_file(tensors, EXPECTED, {
        "min_margin": f"{margin:.6f}",
        "sample_temperature": str(TEMPERATURE),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "date": datetime.date.today().isoformat(),
        "training_text": "Jane Austen, the six novels (public domain), from the Debian package r-cran-janeaustenr",
        "model_sha256": hashlib.sha256((MODEL_DIR / "model.safetensors").read_bytes()).hexdigest(),
    })
    print(f"wrote {EXPECTED.name}, {EXPECTED.stat().st_size} bytes")


def compare(tensors):
    """Compare with the file; exit with an error when it tells something else."""
    with safe_open(EXPECTED, "pt") as file:
        worst = max((file.get_tensor(name) - tensors[name]).abs().max().item()
                    for name in ("prompt_logits", "sample_logits"))
        same = all(torch.equal(file.get_tensor(name), tensors[name]) for name in ("prompt", "greedy", "sample"))
    print(f"compared with {EXPECTED.name}: largest logit difference {worst:.1e}, same bytes: {same}")
    if worst > TOLERANCE or not same:
        sys.exit("the recorded values differ")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    args = parser.parse_args()

    torch.set_num_threads(1)
    model = Qwen3_5ForCausalLM.from_pretrained(MODEL_DIR, dtype=torch.float32).eval()
    prompt = torch.tensor(list(PROMPT))
    prompt_logits, greedy, greedy_logits = compute(model, prompt, COUNT)
    _, sample, sample_logits = compute(model, prompt, COUNT, sampler(SEED))
    best = greedy_logits.topk(2).values
    margin = (best[:, 0] - best[:, 1]).min().item()
    print(f"prompt ({len(PROMPT)} bytes): {PROMPT.decode()}")
    print(f"greedy: {bytes(greedy.tolist()).decode(errors='replace')}")
    print(f"sample: {bytes(sample.tolist()).decode(errors='replace')}")
    print(f"smallest greedy margin {margin:.4f}; one call against token by token: "
          f"greedy {call_difference(model, prompt, greedy, greedy_logits):.1e}, "
          f"sample {call_difference(model, prompt, sample, sample_logits):.1e}")

    tensors = {
        "prompt": prompt.to(torch.uint8),
        "prompt_logits": prompt_logits.contiguous(),
        "greedy": greedy.to(torch.uint8),
        "sample": sample.to(torch.uint8),
        "sample_logits": sample_logits[-KEPT_LOGITS:].contiguous(),
    }
    if args.check:
        compare(tensors)
    else:
        write(tensors, margin)


if __name__ == "__main__":
    main()

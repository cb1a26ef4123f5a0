#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the deltanet authors
"""Make the golden test data of this folder from transformers and flash-linear-attention.

Usage::

    pip install -r requirements.txt
    python3 make_golden.py            # rewrites *.safetensors and sharded/ beside this file

No GPU is needed. The layer cases run the real transformers modules, in float32 on one CPU
thread; the operator cases run the naive functions of the package fla-core (the operators of
flash-linear-attention), whose file is loaded alone. Transformers itself must not find fla: it
would call the Triton kernels even on a CPU, and fail.

Every case is also computed by an independent float64 formula (`reference_rule`,
`reference_layer`), and the script fails when the two disagree. README.md lists the files.
"""

import importlib.util
import json
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import distribution, version
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

sys.modules["fla"] = None  # before transformers: keeps it on its own PyTorch functions

import transformers
from transformers import (
    DynamicCache,
    OlmoHybridConfig,
    Qwen3_5ForCausalLM,
    Qwen3_5TextConfig,
    Qwen3NextConfig,
    Qwen4ExpTextConfig,
)
from transformers.models.olmo_hybrid.modeling_olmo_hybrid import OlmoHybridGatedDeltaNet
from transformers.models.qwen3_5.modeling_qwen3_5 import Qwen3_5GatedDeltaNet
from transformers.models.qwen3_next.modeling_qwen3_next import Qwen3NextGatedDeltaNet
from transformers.models.qwen4_exp.modeling_qwen4_exp import Qwen4ExpTextGatedDeltaNet

HERE = Path(__file__).resolve().parent
TOLERANCE = 5e-6  # relative root mean square difference between float32 and float64
MORE = 5  # tokens decoded one at a time after the first call
L2_EPS = 1e-6  # fixed in transformers' l2norm


@dataclass
class Case:
    """One layer case; the seed also decides the weights."""

    name: str
    family: str
    hidden: int
    heads_k: int
    heads_v: int
    d_k: int
    d_v: int
    tokens: int
    seed: int
    conv_width: int = 4
    decay: str = "slow"  # "slow": dt from 1e-3 to 1e-1; "wide": dt_bias ~ N(0, 1)
    neg_eigval: bool = False
    gate: str = "silu"  # "sigmoid" takes the module of Qwen4-Exp, which has the layout of Qwen3.5
    x_scale: float = 1.0
    store: torch.dtype = torch.float32
    layer: int = 0

    @property
    def prefix(self):
        return f"model.layers.{self.layer}.linear_attn."


CASES = [
    Case("qwen3_next_r1", "qwen3_next", 32, 2, 2, 16, 16, 70, 11),
    Case("qwen3_next_r2", "qwen3_next", 32, 2, 4, 16, 16, 130, 12, decay="wide"),
    Case("qwen3_next_r3", "qwen3_next", 24, 2, 6, 16, 24, 100, 13),
    Case("qwen3_5_r1", "qwen3_5", 32, 2, 2, 16, 16, 65, 21, decay="wide"),
    Case("qwen3_5_r2", "qwen3_5", 24, 2, 4, 32, 32, 130, 22),
    Case("qwen3_5_r3", "qwen3_5", 32, 2, 6, 16, 16, 97, 23, decay="wide"),
    Case("qwen3_5_r4", "qwen3_5", 32, 1, 4, 16, 16, 150, 24),
    Case("qwen3_5_odd", "qwen3_5", 27, 2, 4, 12, 20, 75, 25),
    Case("qwen3_5_conv3", "qwen3_5", 16, 1, 2, 16, 16, 70, 26, conv_width=3),
    Case("qwen3_5_small_x", "qwen3_5", 16, 1, 2, 16, 16, 70, 27, x_scale=3e-3),
    Case("qwen3_5_short", "qwen3_5", 16, 1, 2, 16, 16, 2, 28),
    Case("qwen3_5_f16", "qwen3_5", 32, 2, 4, 16, 16, 80, 29, store=torch.float16),
    Case("qwen3_5_head128", "qwen3_5", 16, 1, 2, 128, 128, 100, 30),
    Case("qwen4_exp_sigmoid", "qwen3_5", 32, 2, 4, 16, 16, 80, 31, gate="sigmoid"),
    Case("olmo_hybrid_96_192", "olmo_hybrid", 16, 2, 2, 96, 192, 90, 41, neg_eigval=True),
    Case("olmo_hybrid_small", "olmo_hybrid", 24, 3, 3, 12, 24, 100, 42, decay="wide"),
]


# ---------------------------------------------------------------- the modules under test


def make_module(case):
    """Return (module, config) of the case's family; the weights are not set yet."""
    sizes = dict(
        hidden_size=case.hidden,
        num_hidden_layers=2,
        layer_types=["linear_attention", "indexed_attention" if case.gate == "sigmoid" else "full_attention"],
        linear_num_key_heads=case.heads_k,
        linear_num_value_heads=case.heads_v,
        linear_key_head_dim=case.d_k,
        linear_value_head_dim=case.d_v,
        linear_conv_kernel_dim=case.conv_width,
        num_attention_heads=1,
        num_key_value_heads=1,
    )
    if case.gate == "sigmoid":
        config = Qwen4ExpTextConfig(output_gate_type="sigmoid", head_dim=8, **sizes)
        return Qwen4ExpTextGatedDeltaNet(config, 0), config
    if case.family == "qwen3_next":
        config = Qwen3NextConfig(head_dim=8, **sizes)
        return Qwen3NextGatedDeltaNet(config, 0), config
    if case.family == "qwen3_5":
        config = Qwen3_5TextConfig(head_dim=8, **sizes)
        return Qwen3_5GatedDeltaNet(config, 0), config
    config = OlmoHybridConfig(linear_allow_neg_eigval=case.neg_eigval, **sizes)
    return OlmoHybridGatedDeltaNet(config, 0), config


def random_weights(module, rng, decay, store):
    """Fill every parameter with random numbers that the type `store` holds exactly."""
    for name, parameter in module.named_parameters():
        shape = tuple(parameter.shape)
        if name == "A_log":
            value = np.log(rng.uniform(0.05, 16.0, shape))
        elif name == "dt_bias" and decay == "slow":
            dt = np.exp(rng.uniform(np.log(1e-3), np.log(1e-1), shape))
            value = dt + np.log(-np.expm1(-dt))
        elif name == "dt_bias":
            value = rng.standard_normal(shape)
        elif name in ("norm.weight", "o_norm.weight"):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value = rng.standard_normal(shape) / np.sqrt(shape[-1])
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(value.astype(np.float32)).to(store))


def checkpoint_tensors(module, case):
    """Return the parameters under their names in a published checkpoint.

    Only OLMo-Hybrid differs from the module: transformers joins the three convolutions when it
    loads a checkpoint. They are split here by hand, at the head boundaries as published, since
    the reverse step of transformers 5.23 cuts the joint tensor into three equal parts.
    """
    tensors = {name: p.detach().to(case.store) for name, p in module.named_parameters()}
    if case.family == "olmo_hybrid":
        key = case.heads_k * case.d_k
        parts = tensors.pop("conv1d.weight").split([key, key, case.heads_v * case.d_v])
        tensors.update({f"{letter}_conv1d.weight": part for letter, part in zip("qkv", parts)})
    return {case.prefix + name: tensor for name, tensor in tensors.items()}


def cached_state(cache, layer, suffix=""):
    """Copy the two states of a layer out of the cache, without the batch dimension."""
    states = cache.layers[layer]
    return {
        "conv_state" + suffix: states.conv_states[0][0].clone(),
        "recurrent_state" + suffix: states.recurrent_states[0][0].clone(),
    }


@torch.no_grad()
def run_module(module, config, x, x_more):
    """One call for x, then x_more one token at a time on the same cache."""
    layer = module.layer_idx
    cache = DynamicCache(config=config)
    out = {"x": x, "y": module(x[None], cache_params=cache)[0]}
    out.update(cached_state(cache, layer))
    out["x_more"] = x_more
    out["y_more"] = torch.cat([module(row[None, None], cache_params=cache)[0] for row in x_more])
    out.update(cached_state(cache, layer, "_more"))
    return out


@torch.no_grad()
def run_in_two_calls(module, config, x, x_more):
    """One call for x and one for x_more on the same cache; returns the second output."""
    cache = DynamicCache(config=config)
    module(x[None], cache_params=cache)
    return module(x_more[None], cache_params=cache)[0]


# ---------------------------------------------------------------- float64 formulas


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def reference_rule(q, k, v, g, beta, state):
    """The gated delta rule, one token at a time: q, k [T,H,dk], v [T,H,dv], g [T,H] or [T,H,dk], beta [T,H]."""
    outputs = []
    decay = np.exp(g[..., None] if g.ndim == 3 else g[..., None, None])
    for t in range(len(q)):
        state = state * decay[t]
        delta = beta[t][:, None] * (v[t] - np.einsum("hk,hkv->hv", k[t], state))
        state = state + k[t][:, :, None] * delta[:, None, :]
        outputs.append(np.einsum("hk,hkv->hv", q[t], state) * q.shape[-1] ** -0.5)
    return np.stack(outputs), state


def split_projections(w, case):
    """Return the weights of q, k, v, z, b, a, the joint convolution, norm and output."""
    key, r = case.heads_k * case.d_k, case.heads_v // case.heads_k
    if case.family == "qwen3_next":
        groups = w["in_proj_qkvz.weight"].reshape(case.heads_k, -1, case.hidden)
        cuts = np.cumsum([case.d_k, case.d_k, r * case.d_v])
        qkvz = [part.reshape(-1, case.hidden) for part in np.split(groups, cuts, 1)]
        groups = w["in_proj_ba.weight"].reshape(case.heads_k, 2 * r, case.hidden)
        ba = [groups[:, :r].reshape(-1, case.hidden), groups[:, r:].reshape(-1, case.hidden)]
        return *qkvz, *ba, w["conv1d.weight"], w["norm.weight"], w["out_proj.weight"]
    if case.family == "qwen3_5":
        q, k, v = np.split(w["in_proj_qkv.weight"], [key, 2 * key])
        names = ("in_proj_z.weight", "in_proj_b.weight", "in_proj_a.weight", "conv1d.weight", "norm.weight")
        return q, k, v, *(w[name] for name in names), w["out_proj.weight"]
    projections = [w[f"{letter}_proj.weight"] for letter in "qkvgba"]
    conv = np.concatenate([w[f"{letter}_conv1d.weight"] for letter in "qkv"])
    return *projections, conv, w["o_norm.weight"], w["o_proj.weight"]


def reference_layer(weights, case, x):
    """The whole layer in float64 from the checkpoint tensors; returns y and the last state."""
    w = {name.removeprefix(case.prefix): t.double().numpy() for name, t in weights.items()}
    wq, wk, wv, wz, wb, wa, conv, norm, out = split_projections(w, case)
    x = x.double().numpy()
    tokens, width, r = len(x), case.conv_width, case.heads_v // case.heads_k

    rows = x @ np.concatenate([wq, wk, wv]).T
    padded = np.concatenate([np.zeros((width - 1, rows.shape[1])), rows])
    mixed = silu(sum(padded[i : i + tokens] * conv[:, 0, i] for i in range(width)))
    q, k, v = np.split(mixed, [len(wq), 2 * len(wq)], 1)
    q, k = (np.repeat(m.reshape(tokens, case.heads_k, case.d_k), r, 1) for m in (q, k))
    q, k = (m / np.sqrt((m * m).sum(-1, keepdims=True) + L2_EPS) for m in (q, k))
    v = v.reshape(tokens, case.heads_v, case.d_v)
    beta = sigmoid(x @ wb.T) * (2.0 if case.neg_eigval else 1.0)
    g = -np.exp(w["A_log"]) * np.logaddexp(0.0, x @ wa.T + w["dt_bias"])

    o, state = reference_rule(q, k, v, g, beta, np.zeros((case.heads_v, case.d_k, case.d_v)))
    o = o / np.sqrt((o * o).mean(-1, keepdims=True) + norm_eps(case)) * norm
    z = (x @ wz.T).reshape(o.shape)
    o = o * (silu(z) if case.gate == "silu" else sigmoid(z))
    return o.reshape(tokens, -1) @ out.T, state, padded[-(width - 1) :].T


def norm_eps(case):
    """Epsilon of the gated norm: rms_norm_eps in Qwen, a constant in OLMo-Hybrid."""
    return 1e-5 if case.family == "olmo_hybrid" else 1e-6


def difference(value, reference):
    """Root mean square difference, relative to the root mean square of the reference."""
    error = value.double().numpy() - reference
    return float(np.sqrt((error**2).mean() / (reference**2).mean()))


def check(name, pairs):
    """Print one line of the comparison table; exit when a difference is too large."""
    values = {what: difference(value, reference) for what, (value, reference) in pairs.items()}
    print(f"  {name:24s} " + "  ".join(f"{what} {value:.1e}" for what, value in values.items()))
    if max(values.values()) > TOLERANCE:
        sys.exit(f"{name}: float32 and float64 disagree")


def check_layer(name, weights, case, out, y_two_calls):
    """Compare a recorded layer run with the float64 formula, all outputs and all states."""
    tokens = len(out["x"])
    y, state, conv = reference_layer(weights, case, out["x"])
    y_all, state_more, conv_more = reference_layer(weights, case, torch.cat([out["x"], out["x_more"]]))
    used = case.conv_width - 1  # the oldest column of the cache is never read
    check(name, {
        "y": (out["y"], y),
        "state": (out["recurrent_state"], state),
        "conv": (out["conv_state"][:, -used:], conv),
        "y_more": (out["y_more"], y_all[tokens:]),
        "state_more": (out["recurrent_state_more"], state_more),
        "conv_more": (out["conv_state_more"][:, -used:], conv_more),
        "two_calls": (y_two_calls, y_all[tokens:]),
    })


# ---------------------------------------------------------------- writing


def save(path, tensors, metadata):
    """Write a safetensors file whose bytes do not depend on the run.

    The library writes the metadata in random order, so its keys are sorted afterwards; the
    header keeps its length.
    """
    blob = safetensors.torch.save({name: t.contiguous() for name, t in tensors.items()}, metadata)
    size = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode().ljust(size)
    assert len(text) == size
    path.write_bytes(blob[:8] + text + blob[8 + size :])


def layer_metadata(case, module):
    """Describe a layer case; all values are strings, as the format demands."""
    return {
        "family": case.family,
        "prefix": case.prefix,
        "hidden": str(case.hidden),
        "n_heads_k": str(case.heads_k),
        "n_heads_v": str(case.heads_v),
        "d_k": str(case.d_k),
        "d_v": str(case.d_v),
        "conv_width": str(case.conv_width),
        "norm_eps": f"{norm_eps(case):g}",
        "l2_eps": f"{L2_EPS:g}",
        "beta_doubled": str(int(case.neg_eigval)),
        "gate": case.gate,
        "seed": str(case.seed),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "source": f"{type(module).__module__}.{type(module).__name__}",
    }


# ---------------------------------------------------------------- the three kinds of data


def make_layer_case(case):
    """Run one layer case and write its file."""
    rng = np.random.default_rng(case.seed)
    module, config = make_module(case)
    random_weights(module, rng, case.decay, case.store)
    module.requires_grad_(False)
    assert (module.o_norm if case.family == "olmo_hybrid" else module.norm).variance_epsilon == norm_eps(case)
    x = torch.from_numpy((rng.standard_normal((case.tokens + MORE, case.hidden)) * case.x_scale).astype(np.float32))
    parts = x[: case.tokens], x[case.tokens :]
    out = run_module(module, config, *parts)
    weights = checkpoint_tensors(module, case)
    check_layer("layer_" + case.name, weights, case, out, run_in_two_calls(module, config, *parts))
    save(HERE / f"layer_{case.name}.safetensors", weights | out, layer_metadata(case, module))


def load_naive_rules(op):
    """Load an operator's naive functions from fla's file, without importing the rest of fla."""
    path = distribution("fla-core").locate_file(f"fla/ops/{op}/naive.py")
    spec = importlib.util.spec_from_file_location(f"fla_naive_{op}", path)
    naive = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(naive)
    return naive


def make_op_case(op, rule, name, d_k, d_v, seed, slowest, fastest, tokens=100, per_channel=False):
    """Run fla's two functions on one random problem; -g is log-uniform in [slowest, fastest].

    The functions want one head count for q, k and v, and multiply q by d_k ** -0.5 themselves.
    """
    naive = load_naive_rules(op)
    recurrent, chunk = f"naive_recurrent_{rule}", f"naive_chunk_{rule}"
    heads = 2
    gates = (tokens, heads, d_k) if per_channel else (tokens, heads)
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((2, tokens, heads, d_k))
    problem = {
        "q": q / np.linalg.norm(q, axis=-1, keepdims=True),
        "k": k / np.linalg.norm(k, axis=-1, keepdims=True),
        "v": rng.standard_normal((tokens, heads, d_v)),
        "g": -np.exp(rng.uniform(np.log(slowest), np.log(fastest), gates)),
        "beta": sigmoid(rng.standard_normal((tokens, heads))),
        "initial_state": rng.standard_normal((heads, d_k, d_v)),
    }
    problem = {key: torch.from_numpy(value.astype(np.float32)) for key, value in problem.items()}
    batch = {key: value[None] for key, value in problem.items()}
    o, state = getattr(naive, recurrent)(output_final_state=True, **batch)
    o_chunk, state_chunk = getattr(naive, chunk)(output_final_state=True, **batch)
    result = {"o": o[0], "final_state": state[0], "o_chunk": o_chunk[0], "final_state_chunk": state_chunk[0]}

    exact = [problem[key].double().numpy() for key in ("q", "k", "v", "g", "beta", "initial_state")]
    o64, state64 = reference_rule(*exact)
    check("op_fla_" + name, {
        "o": (result["o"], o64),
        "state": (result["final_state"], state64),
        "o_chunk": (result["o_chunk"], o64),
        "state_chunk": (result["final_state_chunk"], state64),
    })
    save(HERE / f"op_fla_{name}.safetensors", problem | result, {
        "scale": repr(d_k**-0.5),
        "scale_applied_by": "function",
        "seed": str(seed),
        "torch": torch.__version__,
        "fla_core": version("fla-core"),
        "source": f"fla.ops.{op}.naive: {recurrent} (o, final_state), {chunk} (o_chunk, final_state_chunk)",
    })


def make_sharded():
    """Let transformers write a two-shard bfloat16 model, and run its second layer in float32."""
    case = Case("sharded", "qwen3_5", 32, 2, 4, 16, 16, 80, 51, layer=1)
    folder = HERE / "sharded"
    shutil.rmtree(folder, ignore_errors=True)
    config = Qwen3_5TextConfig(
        vocab_size=64,
        hidden_size=case.hidden,
        intermediate_size=48,
        num_hidden_layers=2,
        layer_types=["linear_attention"] * 2,
        linear_num_key_heads=case.heads_k,
        linear_num_value_heads=case.heads_v,
        linear_key_head_dim=case.d_k,
        linear_value_head_dim=case.d_v,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=8,
        tie_word_embeddings=True,
    )
    rng = np.random.default_rng(case.seed)
    model = Qwen3_5ForCausalLM(config)
    random_weights(model, rng, case.decay, torch.bfloat16)
    for layer in model.model.layers:
        random_weights(layer.linear_attn, rng, case.decay, torch.bfloat16)
    model.to(torch.bfloat16).save_pretrained(folder, max_shard_size="32KB")
    (folder / "generation_config.json").unlink(missing_ok=True)

    module = Qwen3_5ForCausalLM.from_pretrained(folder, dtype=torch.float32).model.layers[1].linear_attn
    module.requires_grad_(False)
    x = torch.from_numpy(rng.standard_normal((case.tokens + MORE, case.hidden)).astype(np.float32))
    parts = x[: case.tokens], x[case.tokens :]
    out = run_module(module, config, *parts)
    check_layer("sharded/", checkpoint_tensors(module, case), case, out, run_in_two_calls(module, config, *parts))
    save(folder / "y.safetensors", out, layer_metadata(case, module))


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, fla-core {version('fla-core')}")
    print(f"relative rms difference to float64 (limit {TOLERANCE:g}):")
    for case in CASES:
        make_layer_case(case)
    gdn = "gated_delta_rule", "gated_delta_rule"
    make_op_case(*gdn, "dk32_dv32", 32, 32, 61, 1e-3, 1.0)
    make_op_case(*gdn, "dk24_dv40", 24, 40, 62, 1e-3, 1.0)
    make_op_case(*gdn, "strong_decay", 32, 32, 63, 0.5, 40.0)
    # The chunked function wants whole chunks of 64; -g to 5 is what the gate of the published models allows.
    make_op_case("kda", "kda", "kda", 24, 40, 64, 1e-3, 5.0, tokens=64, per_channel=True)
    make_sharded()
    files = sorted(p for p in HERE.rglob("*") if p.suffix in (".safetensors", ".json"))
    for path in files:
        print(f"  {path.stat().st_size:8d} {path.relative_to(HERE)}")
    print(f"  {sum(p.stat().st_size for p in files):8d} in all")


if __name__ == "__main__":
    main()

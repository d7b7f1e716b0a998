"""Arithmetic operations of each of torch's operations.

A MAC is one multiplication whose product is added to a sum; 2 FLOPs. Other FLOPs are
counted by a convention, stated at `other_flops`.
"""

from math import prod

from clothing_lightning.network_analysis.propagation.call import (
    ATTENTION,
    CONVOLUTIONS,
    UNTAGGED,
    Call,
    at,
    is_transposed,
    pooled_dims,
)


def _convolution(call: Call) -> int:
    # Each output entry is a sum of one filter; each input entry, if it is transposed,
    # is spread by one.
    entries = call["input"] if is_transposed(call) else call.result
    return int(entries.numel() * prod(call["weight"].shape[1:]))


def _linear(call: Call) -> int:
    return int(call.output.numel() * call["weight"].shape[-1])


def _product(call: Call) -> int:
    factors = [call[key] for key in ("mat1", "batch1", "self") if key in call.arguments]
    return int(call.output.numel() * factors[0].shape[-1])


def _attention(call: Call) -> int:
    query, key, value = call["query"], call["key"], call["value"]
    rows = prod(query.shape[:-1])
    return int(rows * key.shape[-2] * (query.shape[-1] + value.shape[-1]))


def _recurrent(call: Call) -> int:
    steps = prod(call["input"].shape[:-1])
    return int(steps * sum(p.numel() for p in call["params"] if p.ndim == 2))


# How to count the MACs of an operation, by its name; others have none.
MACS = {
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    "linear": _linear,
    **dict.fromkeys(["mm", "bmm", "matmul", "addmm", "baddbmm"], _product),
    **dict.fromkeys(ATTENTION, _attention),
    **dict.fromkeys(["lstm", "gru"], _recurrent),
}

_PER_ENTRY = {
    **dict.fromkeys(UNTAGGED, 1),
    "softmax": 3,
    "_softmax": 3,
    "batch_norm": 2,
    "_native_batch_norm_legit_no_training": 2,
    **dict.fromkeys(["layer_norm", "native_layer_norm", "rms_norm"], 5),
    **dict.fromkeys(["group_norm", "native_group_norm", "instance_norm"], 5),
}
_PER_ENTRY_READ = ("mean", "sum", "amax", "amin", "var", "linalg_vector_norm")


def other_flops(call: Call, is_elementwise: bool) -> int:
    """Arithmetic that is not in MACs.

    One for each entry that an elementwise operation or a bias makes, whatever it costs
    to compute; one for each entry that a sum or a pool reads; 2 for each entry of a
    batch norm (scale and shift), 5 of other norms, 3 of a softmax (exponential, sum,
    division).
    """
    entries = int(call.result.numel())
    if call.name in MACS:
        biased = call.get("bias") is not None or call.name in ("addmm", "baddbmm")
        return entries if biased else 0
    if call.name in _PER_ENTRY:
        return entries * _PER_ENTRY[call.name]
    if "adaptive" in call.name or call.name in _PER_ENTRY_READ:
        return int(call.first.numel())
    if "_pool" in call.name:
        sides = [at(call["kernel_size"], place) for place in range(pooled_dims(call))]
        return entries * prod(sides)
    return entries if is_elementwise else 0

"""Which models are worth their cost?"""

import math
from collections.abc import Sequence


def front(cost: Sequence[float], score: Sequence[float]) -> list[int]:
    """Find the models that none beats: as cheap and as good, and one of both better.

    Args:
        cost: Cost of each model; lower is better. A model whose cost or score is NaN,
            which is unknown, neither beats nor is in the front.
        score: Score of each model; higher is better.

    Returns:
        Their positions, from cheap to dear; of models with the same cost and score all.

    Raises:
        ValueError: If the lengths differ.
    """
    if len(cost) != len(score):
        raise ValueError(
            f"{len(cost)} costs and {len(score)} scores: one each a model."
        )
    known = [
        model
        for model, numbers in enumerate(zip(cost, score, strict=True))
        if not any(map(math.isnan, numbers))
    ]
    unbeaten: list[int] = []
    # By cost, the best first: what comes later is in the front only if it scores more.
    for model in sorted(known, key=lambda model: (cost[model], -score[model])):
        last = unbeaten[-1] if unbeaten else model
        same = (cost[model], score[model]) == (cost[last], score[last])
        if same or score[model] > score[last]:
            unbeaten.append(model)
    return unbeaten

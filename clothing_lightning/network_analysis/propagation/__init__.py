"""How what a tensor sees passes through each of torch's operations."""

from clothing_lightning.network_analysis.propagation import shapes, steps, sums
from clothing_lightning.network_analysis.propagation.call import (
    RULES,
    Call,
    elementwise,
    is_elementwise,
)

__all__ = ["RULES", "Call", "elementwise", "is_elementwise", "shapes", "steps", "sums"]

"""What the tensors of a forward pass hold at one time."""

import weakref
from collections.abc import Sequence
from typing import Any

from torch import Tensor


class LiveMemory:
    """Bytes of the tensors that are alive; views share those of their storage."""

    def __init__(self) -> None:
        """Begin with none."""
        self.peak = self.now = 0
        self.users: dict[int, int] = {}

    # torch has no public name for the identity of a storage without memory, `_cdata`.

    def leave_out(self, tensors: list[Tensor]) -> None:
        """Leave these tensors and their views out of the count."""
        for tensor in tensors:
            self.users.setdefault(tensor.untyped_storage()._cdata, 1)

    def note(self, output: Any) -> None:
        """Count the tensors of an output for as long as they live."""
        for tensor in tensors_in([output]):
            storage = tensor.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            self.users[key] = self.users.get(key, 0) + 1
            if self.users[key] == 1:
                self.now += size
                self.peak = max(self.peak, self.now)
            weakref.finalize(tensor, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self.users[key] -= 1
        if not self.users[key]:
            del self.users[key]
            self.now -= size


def tensors_in(values: Sequence[Any]) -> list[Tensor]:
    """The tensors among values and in the lists and tuples among them."""
    tensors: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            tensors.append(value)
        elif isinstance(value, list | tuple):
            tensors += tensors_in(value)
        elif isinstance(value, dict):
            tensors += tensors_in(list(value.values()))
    return tensors

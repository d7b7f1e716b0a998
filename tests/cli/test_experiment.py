import pytest
import torch

from clothing_lightning.cli.experiment import default_precision


@pytest.mark.parametrize(
    ("accelerator", "cuda", "bf16", "precision"),
    [
        ("auto", True, True, "bf16-mixed"),
        ("gpu", True, True, "bf16-mixed"),
        ("gpu", True, False, "32-true"),
        ("cpu", True, True, "32-true"),
        ("auto", False, False, "32-true"),
    ],
)
def test_bf16_is_the_default_on_a_gpu_that_computes_in_it(
    accelerator: str,
    cuda: bool,
    bf16: bool,
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)
    assert default_precision(accelerator) == precision

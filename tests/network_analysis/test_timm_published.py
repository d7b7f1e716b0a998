import csv
from pathlib import Path

import pytest

from clothing_lightning.models.backbones import create_on_meta
from clothing_lightning.network_analysis.complexity import analyze

NAMES = [
    "coat_tiny",
    "convnext_tiny",
    "cspdarknet53",
    "densenet121",
    "dla34",
    "efficientnet_b3",
    "focalnet_tiny_srf",
    "inception_v3",
    "mixer_b16_224",
    "mobilevitv2_100",
    "poolformer_s12",
    "pvt_v2_b0",
    "regnety_008",
    "res2net50_26w_4s",
    "resnet18",
    "resnet50_clip",
    "seresnet50",
    "swin_tiny_patch4_window7_224",
    "swinv2_tiny_window8_256",
    "tf_efficientnetv2_b0",
    "vgg16",
    "vit_base_patch16_224",
    "vit_giant_patch14_clip_224",
    "vit_small_patch16_dinov3",
    "volo_d1_224",
    "xcit_nano_12_p16_224",
]
ROUNDING = 0.005


def published() -> dict[str, dict[str, str]]:
    file = Path(__file__).with_name("timm_published.csv")
    with file.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(line for line in lines if not line.startswith("#"))
        return {row["model"]: row for row in rows}


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_those_that_timm_publishes(name: str) -> None:
    row = published()[name]
    size = (int(row["infer_img_size"]),) * 2
    report = analyze(create_on_meta(name, size), size, name=name)
    macs, params = float(row["infer_gmacs"]), float(row["param_count"])
    assert report.macs / 1e9 == pytest.approx(macs, abs=0.03 * macs + ROUNDING)
    assert report.params / 1e6 == pytest.approx(params, abs=0.01 * params + ROUNDING)

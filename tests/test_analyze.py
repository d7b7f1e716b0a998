"""`analyze` from its words to its files."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from clothing_lightning import analyze

NUMBERS = {"params", "macs", "flops"}


def objects(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_json_is_one_object_for_each_backbone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert analyze.main(["resnet18", "test_vit", "--json"]) == 0
    resnet, vit = objects(capsys)
    assert resnet["backbone"] == "resnet18"
    assert resnet["image_size"] == [224, 224]
    assert {key: resnet[key] for key in NUMBERS} == {
        "params": 11_689_512,
        "macs": 1_814_073_344,
        "flops": 3_628_146_688,
    }
    field = resnet["receptive_field"]
    assert isinstance(field, dict)
    assert {key: field[key] for key in ("size_px", "stride_px", "padding_px")} == {
        "size_px": [435, 435],
        "stride_px": [32, 32],
        "padding_px": [217, 217],
    }
    assert (field["global_from"], field["global_ops"], field["unknown_ops"]) == (
        None,
        [],
        [],
    )
    layers = resnet["layers"]
    assert isinstance(layers, list)
    assert layers[0] == {
        "name": "conv1",
        "type": "Conv2d",
        "input_shape": [1, 3, 224, 224],
        "output_shape": [1, 64, 112, 112],
        "kernel": [7, 7],
        "stride": [2, 2],
        "groups": 1,
        "filters": 64,
        "params": 9408,
        "macs": 118_013_952,
        "flops": 236_027_904,
        "other_flops": 0,
        "activation_bytes": 3_211_264,
        "receptive_field_px": [7, 7],
    }
    assert isinstance(vit["receptive_field"], dict)
    assert vit["receptive_field"]["global_from"] == "blocks.0.attn"


def test_one_backbone_is_told_at_length(capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze.main(["resnet18"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "resnet18 at 224 x 224" in told
    assert "1,814,073,344" in told
    assert "435 x 435 px" in told
    assert "The costliest 10 of" in told
    assert "To enlarge it, add depth" in told


def test_every_layer_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze.main(["test_resnet", "--layers"]) == 0
    told = capsys.readouterr().out
    assert "Layers of test_resnet" in told
    assert "layer4.0.conv1" in told


def test_sizes_and_backbones_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["test_resnet", "--image-size", "64", "96x160", "--json"]
    assert analyze.main(words) == 0
    small, wide = objects(capsys)
    assert (small["image_size"], wide["image_size"]) == ([64, 64], [96, 160])
    assert small["params"] == wide["params"]
    assert analyze.main(words[:-1]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "test_resnet at 96" in told


def test_what_if(capsys: pytest.CaptureFixture[str]) -> None:
    append = "maxpool2d(kernel_size=2,stride=2) conv2d(kernel_size=3)"
    assert analyze.main(["mobilenetv2_100", "--append", append, "--json"]) == 0
    assert analyze.main(["mobilenetv2_100", "--truncate", "blocks.4.0", "--json"]) == 0
    sizes = [found["receptive_field"] for found in objects(capsys)]
    assert [s["size_px"] for s in sizes if isinstance(s, dict)] == [
        [651, 651],
        [203, 203],
    ]


def test_files(tmp_path: Path) -> None:
    names = {"csv": "layers.csv", "html": "page.html", "plot": "cost.png"}
    words = [f"--{key}={tmp_path / name}" for key, name in names.items()]
    assert analyze.main(["test_resnet", "test_vit", *words]) == 0
    table = pd.read_csv(tmp_path / "layers.csv")
    assert set(table["backbone"]) == {"test_resnet", "test_vit"}
    assert table.groupby("backbone")["share_of_macs"].sum().round(3).eq(1).all()
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")


def test_latency_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["test_resnet", "--latency", "--batch=2", "--image-size=64", "--json"]
    assert analyze.main(words) == 0
    (found,) = objects(capsys)
    times = [found["latency_ms"], found["latency_batch_ms"]]
    for batch, entry in zip((1, 2), times, strict=True):
        assert isinstance(entry, dict)
        assert set(entry) == {"p50", "p95", "batch", "threads"}
        assert entry["batch"] == batch
        assert 0 < entry["p50"] <= entry["p95"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resnet81"], "backbone: 'resnet81' is not a timm model. Closest names: "),
        (["resnet18.nope"], "'resnet18' has no weights with the tag 'nope'"),
        (["resnet18", "--image-size=big"], "'big' is not a size in pixels"),
        (["resnet18", "--image-size=99999"], "of at most 16384"),
        (["inception_v3", "--image-size=8"], "cannot be analysed for images of 8 x 8"),
        (["resnet18", "--truncate=layer9"], "has no layer 'layer9'. Closest names"),
        (["resnet18", "--append=relu()"], "'relu' is not a layer that can be"),
        (["test_vit", "--append=conv2d(kernel_size=3)"], "the features have the shape"),
        (["resnet18", "--latency", "--truncate=layer1"], "leave out --truncate"),
        (["resnet18", "--latency", "--batch=0"], "--batch is 0"),
        (["resnet18", "--csv=nowhere/a.csv"], "nowhere"),
        (["resnet18", "--plot=nowhere/a.png"], "nowhere"),
        (["resnet18", "--plot=a.docx"], "docx"),
        (["resnet18", "--batches=3"], "unrecognized arguments: --batches=3"),
        (["--json"], "backbone"),
    ],
)
def test_a_mistake_gets_one_message_and_exit_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert analyze.main(words) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert told.startswith("error: ")
    assert message in told
    assert "Traceback" not in told


@pytest.mark.parametrize(("words", "code"), [([], 2), (["--help"], 0)])
def test_the_first_word_comes_before_heavy_imports(words: list[str], code: int) -> None:
    script = (
        "import sys; from clothing_lightning import analyze; "
        f"code = analyze.main({words!r}); "
        "sys.exit(f'{code} ' + ' '.join({'torch', 'timm', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == str(code)
    assert "--truncate LAYER" in done.stdout

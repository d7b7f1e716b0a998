"""`analyze` from its words to its files."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from clothing_lightning import analyze
from clothing_lightning.cli import analysis

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


def test_one_backbone_is_described_at_length(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert analyze.main(["resnet18"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "resnet18 at 224 x 224" in text
    assert "1,814,073,344" in text
    assert "435 x 435 px" in text
    assert "The costliest 10 of" in text
    assert "To enlarge it, add depth" in text


def test_every_layer_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze.main(["test_resnet", "--layers"]) == 0
    text = capsys.readouterr().out
    assert "Layers of test_resnet" in text
    assert "layer4.0.conv1" in text


def test_sizes_and_backbones_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["test_resnet", "--image-size", "64", "96x160", "--json"]
    assert analyze.main(words) == 0
    small, wide = objects(capsys)
    assert (small["image_size"], wide["image_size"]) == ([64, 64], [96, 160])
    assert small["params"] == wide["params"]
    assert analyze.main(words[:-1]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "test_resnet at 96" in text


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
        (["resnet18", "--latency", "--truncate=layer1"], "Leave out --truncate"),
        (["resnet18", "--latency", "--batch=0"], "--batch is 0"),
        (["resnet18", "--batch=8"], "--batch is of --latency"),
        (
            ["resnet18", "--cross-check", "--append=conv2d(kernel_size=3)"],
            "Leave out --tr",
        ),
        (["resnet18", "--csv=nowhere/a.csv"], "nowhere"),
        (["resnet18", "--plot=nowhere/a.png"], "nowhere"),
        (["resnet18", "--plot=a.docx"], "docx"),
        (["resnet18", "--batches=3"], "unrecognized arguments: --batches=3"),
        (["--json"], "BACKBONE"),
    ],
)
def test_a_mistake_gets_one_message_and_exit_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert analyze.main(words) == 2
    text = " ".join(capsys.readouterr().err.split())
    assert text.startswith("error: ")
    assert message in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    "words",
    [
        ["--latency", "--batch=0"],
        ["--batch=8"],
        ["--latency", "--truncate=layer1"],
        ["--latency", "--append=conv2d(kernel_size=3)"],
        ["--cross-check", "--truncate=layer1"],
        ["--image-size", "64", "big"],
        ["--append=relu()"],
        ["resnet81"],
    ],
)
def test_what_does_not_go_together_is_refused_before_any_network_is_built(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    monkeypatch.setattr(analysis, "create_on_meta", lambda name, _: built.append(name))
    assert analyze.main(["resnet18", *words]) == 2
    assert built == []


def test_other_counters_are_asked_on_request_only(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert analyze.main(["test_vit", f"--html={page}"]) == 0
    assert "ptflops" not in capsys.readouterr().out + page.read_text()
    assert analyze.main(["test_vit", "--cross-check", f"--html={page}"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "by torch's FlopCounterMode 0.038 G, by ptflops" in text
    assert "blocks.*.attn: " in text
    assert "by ptflops" in page.read_text()
    assert analyze.main(["test_vit", "--cross-check", "--json"]) == 0
    (entries,) = objects(capsys)
    assert isinstance(entries["notes"], list)
    assert entries["notes"][0].startswith("MACs: ")


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

from pathlib import Path

from clothing_lightning.compression.onnx_export import export_onnx
from clothing_lightning.compression.timing import peak_memory_mb, time_files
from tests.inference.test_trained_network import built


def test_each_file_has_its_times_and_memory(tmp_path: Path) -> None:
    model = built()
    files = {name: tmp_path / f"{name}.onnx" for name in ("a", "b")}
    for file in files.values():
        export_onnx(model, file)
    timed = time_files(files, model, budget_s=0.05)
    assert list(timed) == ["a", "b"]
    for costs in timed.values():
        assert 0 < costs["model/latency_ms"] <= costs["model/latency_p95_ms"]
        assert costs["model/latency_ms"] < costs["model/latency_batch32_ms"]
        assert costs["model/peak_memory_mb"] > 10


def test_a_file_that_cannot_be_run_has_no_memory(tmp_path: Path) -> None:
    memory = peak_memory_mb(tmp_path / "missing.onnx", (1, 3, 8, 8))
    assert memory != memory


def test_memory_is_not_that_of_the_process_that_asks(tmp_path: Path) -> None:
    ballast = b"x" * 400_000_000
    file = tmp_path / "a.onnx"
    model = built()
    export_onnx(model, file)
    size = model.preprocessing.image_size
    assert peak_memory_mb(file, (1, 3, size, size)) < len(ballast) / 1e6

from pathlib import Path

import pytest

from clothing_lightning.errors import RunError
from clothing_lightning.tracking.read import find_run
from clothing_lightning.tracking.run import RunWriter, Status

pytestmark = pytest.mark.usefixtures("workplace")


def finished(name: str, experiment: str = "clothes") -> RunWriter:
    run = RunWriter(experiment, name)
    run.finish("FINISHED")
    return run


def test_finds_a_run_however_it_is_referred_to() -> None:
    first, _ = finished("resnet18"), finished("vit", "shoes")
    checkpoint = first.folder / "checkpoints" / "best.ckpt"
    whole = checkpoint.resolve()
    references = [first.run_id, first.run_id[:12], "resnet18", checkpoint, whole]
    found = [find_run(str(reference)) for reference in references]
    assert {run.run_id for run in found} == {first.run_id}
    assert (found[0].name, found[0].status) == ("resnet18", "FINISHED")


def test_a_name_that_two_runs_bear_is_refused_with_their_ids() -> None:
    first, second = finished("resnet18"), finished("resnet18", "shoes")
    with pytest.raises(RunError, match="'resnet18' may be any of") as caught:
        find_run("resnet18")
    for run in (first, second):
        started = find_run(run.run_id).start_time
        told = f"{run.run_id[:8]} (resnet18, {started}, FINISHED)"
        assert told in str(caught.value)


@pytest.mark.parametrize("ended", ["FAILED", "KILLED"])
def test_of_runs_of_one_name_the_finished_one_is_meant_or_the_one_to_resume(
    ended: Status,
) -> None:
    done, broken = finished("resnet18"), RunWriter("clothes", "resnet18")
    broken.finish(ended)
    assert find_run("resnet18").run_id == done.run_id
    assert find_run("resnet18", to_resume=True).run_id == broken.run_id
    finished("resnet18")
    with pytest.raises(RunError, match=rf"resnet18, 20\d\d-.* \d\d:\d\d, {ended}\)"):
        find_run("resnet18")
    assert find_run("resnet18", to_resume=True).run_id == broken.run_id


@pytest.mark.parametrize(
    "reference", ["resnet", "abcd", "f" * 32, "/tmp/best.ckpt", "", "%"]
)
def test_what_is_no_run_is_told_with_the_store(reference: str) -> None:
    finished("resnet18")
    with pytest.raises(RunError, match=r"is not in sqlite:///.*mlruns/mlflow\.db"):
        find_run(reference)


def test_artifacts_are_found_where_the_folder_was_moved_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished("resnet18")
    (run.folder / "note.txt").write_text("here")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Path("mlruns").rename(elsewhere / "mlruns")
    monkeypatch.chdir(elsewhere)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")  # which mlflow sets for its process
    assert find_run("resnet18").artifact("note.txt").read_text() == "here"
    again = RunWriter("clothes", "another")
    assert again.folder.resolve().is_relative_to(elsewhere)
    again.finish("FINISHED")


def test_artifacts_are_the_files_themselves() -> None:
    run = finished("resnet18")
    past = find_run("resnet18")
    with pytest.raises(RunError, match=r"has no artifact 'checkpoints/last\.ckpt'"):
        past.last_checkpoint()
    file = run.folder.resolve() / "checkpoints" / "last.ckpt"
    file.parent.mkdir()
    file.write_bytes(b"weights")
    assert past.last_checkpoint() == file
    assert past.times_resumed == 0
    config = file.parent.with_name("config")
    config.mkdir()
    (config / "config.yaml").write_text("{}")
    assert past.config == config / "config.yaml"
    for name in ("resumed-1.yaml", "resumed-2.yaml"):
        (config / name).write_text("{}")
    assert past.times_resumed == 2
    assert past.config == config / "resumed-2.yaml"  # as the run was last started


def test_of_runs_that_stand_for_several_those_are_named() -> None:
    for number in range(2):
        parent = RunWriter("clothes", "net", tags={"series": "{}"})
        parent.finish("FINISHED")
        tags = {"mlflow.parentRunId": parent.run_id}
        child = RunWriter("clothes", f"net, seed {number}", tags=tags)
        child.finish("FINISHED")
    with pytest.raises(RunError, match=r"any of .*\(net, seed 1, .*\(net, seed 0, "):
        find_run("net")


def test_runs_in_a_folder_have_no_address() -> None:
    finished("net")
    assert find_run("net").url is None


def test_the_address_of_a_run_on_a_server_holds_no_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finished("net")
    run = find_run("net")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@runs.example.org")
    assert run.url is not None
    assert run.url.startswith("https://runs.example.org/#/experiments/")

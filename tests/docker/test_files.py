"""What can be said of the images and services without building or starting them."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from clothing_lightning.tracking.packaged_model import PACKAGES

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMPOSE_TEXT = (DOCKER / "compose.yaml").read_text()
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)["services"]
LASTING = {
    name: each for name, each in SERVICES.items() if each.get("restart") is not None
}
BATCH = {"fit", "fit-gpu"}
SCRIPTS = sorted(DOCKER.glob("*.sh"))


FILES = ["Dockerfile", "serve.Dockerfile"]


def stages(file: str = "Dockerfile") -> dict[str, str]:
    """Name and text of each stage of a Dockerfile."""
    text = (DOCKER / file).read_text()
    parts = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    return {part.splitlines()[0].split(" AS ")[1]: part for part in parts}


def variables() -> dict[str, str]:
    """What the example of the environment sets, or shows how to."""
    text = (DOCKER / ".env.example").read_text()
    return dict(re.findall(r"^(?:# )?(\w+)=(.*)$", text, re.MULTILINE))


def test_every_variable_is_in_the_example_and_used() -> None:
    names = set(re.findall(r"\$\{(\w+)", COMPOSE_TEXT))
    arguments = {word for name in BATCH for word in SERVICES[name]["build"]["args"]}
    assert names | arguments == set(variables())


def test_what_must_be_set_are_the_secrets_and_the_example_has_none() -> None:
    required = set(re.findall(r"\$\{(\w+):\?", COMPOSE_TEXT))
    assert {n for n in variables() if re.search(r"PASSWORD|_KEY", n)} == required
    assert {variables()[name] for name in required} == {""}


def test_defaults_are_those_of_the_example() -> None:
    defaults = re.findall(r"\$\{(\w+):-([^}]+)\}", COMPOSE_TEXT)
    assert len(defaults) >= 5
    for name, default in defaults:
        assert variables()[name] == default, name


@pytest.mark.parametrize("service", SERVICES)
def test_no_secret_is_in_the_file(service: str) -> None:
    for name, value in SERVICES[service].get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|KEY", name):
            assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), name


def test_two_services_are_reached_and_from_this_machine_alone() -> None:
    ports = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    assert ports == {
        "tracking": ["${TRACKING_ADDRESS:-127.0.0.1}:${TRACKING_PORT:-5000}:5000"],
        "model": ["${SERVING_ADDRESS:-127.0.0.1}:${SERVING_PORT:-5001}:5001"],
    }
    for name in ("database", "objects"):
        assert SERVICES[name]["networks"] == ["stores"]
    assert yaml.safe_load(COMPOSE_TEXT)["networks"] == {"stores": {"internal": True}}


def test_all_that_lasts_has_a_health_check_and_is_waited_for() -> None:
    assert set(LASTING) == set(SERVICES) - BATCH
    checked = {name for name, each in LASTING.items() if "healthcheck" in each}
    assert checked == set(LASTING) - {"tracking", "model"}
    assert "HEALTHCHECK" in stages()[SERVICES["tracking"]["build"]["target"]]
    assert "HEALTHCHECK" in stages("serve.Dockerfile")["model"]
    healthy = {"condition": "service_healthy"}
    assert SERVICES["tracking"]["depends_on"] == dict.fromkeys(checked, healthy)
    for name in BATCH:
        assert SERVICES[name]["depends_on"] == {"tracking": healthy}
        assert SERVICES[name]["profiles"]  # not started with the server


def test_photos_are_mounted_read_only() -> None:
    for name in BATCH:
        (photos,) = [v for v in SERVICES[name]["volumes"] if isinstance(v, dict)]
        assert photos["target"] == "/data"
        assert photos["read_only"] is True


def test_images_of_others_are_pinned() -> None:
    images = [each["image"] for each in SERVICES.values() if "build" not in each]
    images += bases()
    assert len(images) == 4
    for image in images:
        assert re.search(r":\d+\.\d+[\w.-]*$", image), image


def bases() -> list[str]:
    """What the stages begin with, where that is no other stage."""
    return [
        base
        for file in FILES
        for text in stages(file).values()
        if (base := text.split(" AS ")[0]) not in stages(file)
    ]


@pytest.mark.parametrize(
    ("file", "target"),
    [("Dockerfile", "server"), ("Dockerfile", "fit"), ("serve.Dockerfile", "model")],
)
def test_images_do_not_run_as_root(file: str, target: str) -> None:
    text = stages(file)[target]
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["1000"]
    assert "\nUSER" not in text.partition("ENTRYPOINT")[2]


def test_secrets_are_no_build_arguments() -> None:
    text = "".join((DOCKER / file).read_text() for file in FILES)
    arguments = re.findall(r"^ARG (\w+)", text, re.M)
    assert set(arguments) == {"UV_DEFAULT_INDEX", "UV_TORCH_BACKEND"}


@pytest.mark.parametrize(
    ("file", "least"), [("Dockerfile", 8), ("serve.Dockerfile", 2)]
)
def test_what_is_copied_exists_and_is_not_ignored(file: str, least: int) -> None:
    text = "\n".join(stages(file).values())
    copies = re.findall(r"^COPY (?!--from)(.+)", text, re.M)
    sources = [word for line in copies for word in line.split()[:-1]]
    lines = (DOCKER / f"{file}.dockerignore").read_text().splitlines()
    let_in = [line[1:] for line in lines if line.startswith("!")]
    assert "*" in lines
    assert len(sources) >= least
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(Path(source).match(pattern) for pattern in let_in), source
    assert not any(Path("docker/.env").match(pattern) for pattern in let_in)


@pytest.mark.parametrize(
    ("group", "packages"),
    [
        ("server", {"boto3", "mlflow[auth]", "psycopg[binary]"}),
        ("serving", {*PACKAGES}),  # those that the models ask for
    ],
)
def test_servers_have_groups_of_dependencies_of_their_own(
    group: str, packages: set[str]
) -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    names = {re.split(r"[^\w\[\]-]", line)[0] for line in groups[group]}
    assert names == packages


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.name))
def test_scripts_can_be_run(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/bin/sh\n#")
    assert "\nset -eu\n" in script.read_text()
    subprocess.run(["sh", "-n", str(script)], check=True)


SETTINGS = {
    "MLFLOW_ARTIFACTS_DESTINATION": "s3://mlflow",
    "MLFLOW_AUTH_ADMIN_PASSWORD": "a long password",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "a long text",
}


@pytest.mark.parametrize("missing", SETTINGS)
def test_the_server_says_what_is_not_set(missing: str) -> None:
    given = {name: value for name, value in SETTINGS.items() if name != missing}
    done = subprocess.run(
        [str(DOCKER / "tracking.sh")],
        env={"PATH": os.environ["PATH"], **given},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"{missing}: " in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ([], "python -m clothing_lightning.fit"),
        (["--help"], "python -m clothing_lightning.fit"),
        (["fit", "--help"], "--resume RUN"),
    ],
)
def test_the_image_runs_the_command_that_it_is_given(
    words: list[str], shown: str
) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [str(DOCKER / "command.sh"), *words],
        cwd=ROOT,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown in done.stdout

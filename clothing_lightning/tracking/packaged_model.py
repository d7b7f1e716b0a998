"""A network as an MLflow model: a folder with all that serves it, and no torch."""

import base64
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

NETWORK = "artifacts/model.onnx"
OTHERS = (
    "MLmodel",
    "conda.yaml",
    "constraints.txt",
    "input_example.json",
    "python_env.yaml",
    "requirements.txt",
    "served_model.py",
    "serving_input_example.json",
)
"""Files of the folder besides the network."""

# mlflow-skinny is MLflow without what trains, draws and keeps runs.
PACKAGES = ("mlflow-skinny", "numpy", "onnxruntime", "pandas", "pillow")
_CODE = Path(__file__).with_name("served_model.py")


def write_model(folder: Path, network: Path) -> None:
    """Write an MLflow model.

    It asks for the versions of packages that are installed here.

    Args:
        folder: Empty folder that is written.
        network: ONNX file, called ``model.onnx``, that prepares photos itself.
    """
    import mlflow
    from mlflow.models import Model

    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(pinned(PACKAGES)))
        constraints.flush()
        mlflow.pyfunc.save_model(
            folder,
            python_model=_CODE,
            artifacts={"network": str(network)},
            signature=_signature(),
            input_example=pd.DataFrame({"image": [_white_photo()]}),
            pip_requirements=[
                *(f"{name}=={version(name)}" for name in PACKAGES),
                f"-c {constraints.name}",
            ],
        )
    # MLflow notes where on this machine the parts were, which concerns nobody else.
    model = Model.load(folder)
    flavor = model.flavors["python_function"]
    flavor["artifacts"]["network"]["uri"] = NETWORK
    flavor["model_code_path"] = _CODE.name
    model.save(str(folder / "MLmodel"))


def _signature() -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType, Array, ColSpec, Object, Property

    text, number = DataType.string, DataType.double
    one = Object([Property("label", text), Property("probability", number)])
    # Of any type: what is no photo is answered in its row, by an error.
    photo = ColSpec(AnyType(), "image")  # type: ignore[no-untyped-call]
    return ModelSignature(
        inputs=Schema([photo]),
        outputs=Schema(
            [
                ColSpec(text, "label", required=False),
                ColSpec(number, "probability", required=False),
                ColSpec(Array(one), "top_k", required=False),
                ColSpec(text, "error", required=False),
            ]
        ),
        params=ParamSchema([ParamSpec("top", DataType.integer, 3)]),
    )


def _white_photo() -> str:
    content = BytesIO()
    Image.new("RGB", (32, 32), "white").save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def pinned(packages: Sequence[str]) -> list[str]:
    """Return packages and all that they need, at the versions that are installed.

    Packages that are not installed, such as those of another system, are left out.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: dict[str, str] = {}
    waiting = list(packages)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
        needed = [Requirement(line) for line in requires(name) or []]
        waiting += [
            each.name
            for each in needed
            if each.marker is None or each.marker.evaluate({"extra": ""})
        ]
    return sorted(f"{name}=={number}" for name, number in found.items())


def read_model(folder: Path) -> Callable[[NDArray[np.uint8]], Mapping[str, float]]:
    """Read an MLflow model, as MLflow does.

    Returns:
        Function from a photo, RGB ``[height, width, 3]``, to the probability of each
        class by its name.
    """
    import mlflow

    model = mlflow.pyfunc.load_model(str(folder))

    def probabilities(photo: NDArray[np.uint8]) -> dict[str, float]:
        every = {"top": 10**6}  # of the classes, of which no network has more
        (ranked,) = model.predict(pd.DataFrame({"image": [photo]}), every)["top_k"]
        return {each["label"]: each["probability"] for each in ranked}

    return probabilities

"""How an export is used: a few lines of Python for its model card."""

from timm.models import model_entrypoint

from clothing_lightning.data.options import LUMA, Preprocessing

_OPEN_PHOTO = """\
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("{mode}")
"""
_PREPARE = """\
grown = [round(side * max(1, {resized} / min(photo.size))) for side in photo.size]
photo = photo.resize(grown, Image.BILINEAR)
def shares(length):  # of a line's pixels in the pixels of the shrunk and cut line
    size = round({resized} * length / min(photo.size))
    ends = np.linspace(0, length, size + 1) - np.arange(length)[:, None]
    return (np.diff(ends.clip(0, 1)) * size / length)[:, (size - {px}) // 2:][:, :{px}]
planes = np.asarray(photo).transpose(2, 0, 1)
planes = (shares(photo.height).T @ planes @ shares(photo.width)).round() / 255
{normalised}"""
_ONNX = """\
import json
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("model.onnx")
about = json.loads(session.get_modelmeta().custom_metadata_map["clothing_lightning"])
{photo}{prepare}
logits = session.run(None, {{"images": images}})[0][0]{tempered}
scores = np.exp(logits - logits.max())
print(about["class_names"][scores.argmax()], scores.max() / scores.sum())
"""
_TORCH = """\
import json
import numpy as np
import torch
from PIL import Image, ImageOps

about = {{"clothing_lightning": ""}}
network = torch.export.load("model.pt2", extra_files=about).module()
{photo}{prepare}
logits = network(torch.from_numpy(images)){tempered}
probabilities = logits.softmax(dim=1)[0]
names = json.loads(about["clothing_lightning"])["class_names"]
print(names[probabilities.argmax()], float(probabilities.max()))
"""
_TIMM = """\
import timm
import torch
{registration}from PIL import Image, ImageOps

network = timm.create_model("local-dir:.", pretrained=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_data_config(model=network))
{photo}with torch.inference_mode():
    logits = network(transform(photo)[None]){tempered}
probabilities = logits.softmax(dim=1)[0]
names = network.pretrained_cfg["label_names"]
print(names[probabilities.argmax()], float(probabilities.max()))
"""
_MLFLOW = """\
import mlflow
import pandas as pd
from pathlib import Path

model = mlflow.pyfunc.load_model(".")
answers = model.predict(pd.DataFrame({"image": [Path("photo.jpg")]}), {"top": 1})
print(answers["label"][0], answers["probability"][0])
"""


def usage(
    target: str,
    backbone: str,
    preprocessing: Preprocessing,
    *,
    with_preprocessing: bool,
    temperature: float = 1.0,
) -> str:
    """Return Python that predicts ``photo.jpg`` with the export in this folder.

    Args:
        target: Name of the format.
        backbone: timm's name of the network, or the name of one of ours.
        preprocessing: What the network expects of its images.
        with_preprocessing: Whether the graph prepares the photo itself.
        temperature: What the logits are divided by; 1 needs no division.
    """
    if target == "mlflow":
        return _MLFLOW
    tempered = "" if temperature == 1 else f" / {temperature:.6g}  # the temperature"
    if target == "safetensors":
        photo = _OPEN_PHOTO.format(mode="L" if len(preprocessing.mean) == 1 else "RGB")
        registration = _registration(backbone)
        return _TIMM.format(photo=photo, registration=registration, tempered=tempered)
    if with_preprocessing:
        prepare = "images = np.asarray(photo)[None]"
    else:
        size = preprocessing.image_size
        prepare = _PREPARE.format(
            resized=round(size / preprocessing.crop_pct),
            px=size,
            normalised=_normalised(preprocessing),
        )
    template = _ONNX if target == "onnx" else _TORCH
    photo = _OPEN_PHOTO.format(mode="RGB")
    return template.format(photo=photo, prepare=prepare, tempered=tempered)


def _registration(backbone: str) -> str:
    """Return what has to be imported for timm to know the network."""
    architecture = backbone.partition(".")[0]
    package = model_entrypoint(architecture).__module__.partition(".")[0]
    if package == "timm":
        return ""
    return f"import {package}.models.networks  # timm has no {architecture}\n"


def _normalised(preprocessing: Preprocessing) -> str:
    mean, std = (list(each) for each in (preprocessing.mean, preprocessing.std))
    if len(mean) == 1:
        luma = [weight / sum(LUMA) for weight in LUMA]
        gray = f"np.tensordot({luma}, planes, 1)"
        return f"images = np.float32(({gray} - {mean[0]}) / {std[0]})[None, None]"
    planes = f"(planes.T - {mean}) / {std}"
    return f"images = np.float32({planes}).T[None]"

"""How an export is used: a few lines of Python for its model card."""

from clothing_lightning.data.options import LUMA, Preprocessing

_OPEN_PHOTO = """\
photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
"""
_RESIZE = """\
scale = {resized} / min(photo.size)
size = [round(side * scale) for side in photo.size]
photo = photo.resize(size, Image.BOX if scale < 1 else Image.BILINEAR)
left, top = [(side - {size}) // 2 for side in size]
photo = photo.crop((left, top, left + {size}, top + {size}))
{normalised}
"""
_ONNX = """\
import json
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession("model.onnx")
about = json.loads(session.get_modelmeta().custom_metadata_map["clothing_lightning"])
{photo}{prepare}
logits = session.run(None, {{"images": images}})[0][0]
probabilities = np.exp(logits - logits.max())
probabilities /= probabilities.sum()
print(about["class_names"][probabilities.argmax()], probabilities.max())
"""
_TORCH = """\
import json
import numpy as np
import torch
from PIL import Image, ImageOps

about = {{"clothing_lightning": ""}}
network = torch.export.load("model.pt2", extra_files=about).module()
{photo}{prepare}
probabilities = network(torch.from_numpy(images)).softmax(dim=1)[0]
names = json.loads(about["clothing_lightning"])["class_names"]
print(names[probabilities.argmax()], float(probabilities.max()))
"""
_TIMM = """\
import timm
import torch
from PIL import Image, ImageOps

network = timm.create_model("local-dir:.", pretrained=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_data_config(model=network))
{photo}with torch.inference_mode():
    probabilities = network(transform(photo)[None]).softmax(dim=1)[0]
names = network.pretrained_cfg["label_names"]
print(names[probabilities.argmax()], float(probabilities.max()))
"""


def usage(
    target: str, preprocessing: Preprocessing, *, with_preprocessing: bool
) -> str:
    """Return Python that predicts ``photo.jpg`` with the export in this folder.

    Args:
        target: Name of the format.
        preprocessing: What the network expects of its images.
        with_preprocessing: Whether the graph prepares the photo itself.
    """
    if target == "safetensors":
        return _TIMM.format(photo=_OPEN_PHOTO)
    if with_preprocessing:
        prepare = "images = np.asarray(photo)[None]"
    else:
        size = preprocessing.image_size
        prepare = _RESIZE.format(
            resized=round(size / preprocessing.crop_pct),
            size=size,
            normalised=_normalised(preprocessing),
        ).rstrip()
    template = _ONNX if target == "onnx" else _TORCH
    return template.format(photo=_OPEN_PHOTO, prepare=prepare)


def _normalised(preprocessing: Preprocessing) -> str:
    pixels = "np.asarray(photo, np.float32)"
    if len(preprocessing.mean) == 1:
        weights = ", ".join(f"{weight / sum(LUMA)}" for weight in LUMA)
        pixels = f"({pixels} @ np.float32([{weights}]))[:, :, None]"
    mean, std = (list(each) for each in (preprocessing.mean, preprocessing.std))
    return (
        f"images = ({pixels} / 255 - {mean}) / {std}\n"
        "images = images.transpose(2, 0, 1)[None].astype(np.float32)"
    )

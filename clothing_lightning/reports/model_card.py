"""The card of an exported network: what it is, how good, and where not to trust it.

It has the layout of Hugging Face's model cards, so that the folder can be pushed as it
is: https://huggingface.co/docs/hub/model-cards.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import yaml
from markupsafe import Markup

from clothing_lightning import __version__
from clothing_lightning.metrics import classification_report as numbers
from clothing_lightning.metrics.bootstrap import bootstrap
from clothing_lightning.metrics.calibration import tempering
from clothing_lightning.metrics.intervals import wilson_interval
from clothing_lightning.metrics.registry import METRICS
from clothing_lightning.models.description import NetworkDescription
from clothing_lightning.reports.page import render
from clothing_lightning.wording import counted, listed, markdown_cell

TAG = "clothing_lightning"
"""Tag of each card."""
FEW_IMAGES = 30
"""A class of fewer test images has an interval of its recall of 0.3 and more."""


@dataclass(frozen=True)
class CardFacts:
    """What a card tells of a network.

    Attributes:
        description: The network.
        predictions: Its stored predictions for the test images.
        counts: Images of each class in the splits ``train``, ``val`` and ``test``.
        data: Name of the data set.
        split_digest: Digest of the images and their splits.
        test_digest: Digest of the test images and their labels.
        shared_groups: Share of the test images whose group (a sender) has images in the
            training as well, 0 to 1; None if there are no groups.
        library: The library that reads the export.
        check: How the export and the network agree on the test images.
        stored_check: How the export agrees with the test that the run has stored.
        weights_licence: Licence of the weights that the training began with, or None.
        data_licence: Licence of the data, or None.
        usage: Ten lines of Python that use the export.
    """

    description: NetworkDescription
    predictions: pd.DataFrame
    counts: pd.DataFrame
    data: str
    split_digest: str
    test_digest: str
    shared_groups: float | None
    library: str
    check: str
    stored_check: str
    weights_licence: str | None
    data_licence: str | None
    usage: str


def model_card(facts: CardFacts) -> str:
    """Write the card, in Markdown with a head of YAML."""
    description, predictions = facts.description, facts.predictions
    scores = numbers.summary(predictions)
    preprocessing = description.preprocessing
    card = render(
        "model_card.md",
        front_matter=Markup(_front_matter(facts, scores)),
        name=_text(description.run_name or description.backbone),
        backbone=_text(description.backbone),
        class_count=len(description.class_names),
        data=_text(facts.data),
        version=__version__,
        run_id=description.run_id,
        image_count=f"{len(predictions):,}",
        test_note=_note(facts.shared_groups),
        metrics=_metric_rows(predictions, scores),
        check=facts.check,
        stored_check=facts.stored_check,
        classes=_class_rows(predictions, facts.counts),
        limits=_limits(facts),
        splits=listed([f"{facts.counts[s].sum():,} {s}" for s in facts.counts]),
        split_digest=facts.split_digest,
        test_digest=facts.test_digest,
        weights_licence=facts.weights_licence or "not known; ask where they are from.",
        data_licence=facts.data_licence or "not known; ask where they are from.",
        preprocessing=(
            f"Photos are resized to a short side of "
            f"{round(preprocessing.image_size / preprocessing.crop_pct)} px and cut to "
            f"the central {preprocessing.image_size} x {preprocessing.image_size} px."
        ),
        calibration=_calibration(facts),
        usage=Markup(facts.usage.strip()),
    )
    return card + "\n"


def _calibration(facts: CardFacts) -> str:
    """Say what makes probabilities of the logits; empty if nothing is known of that."""
    found = facts.description.calibration
    if found is None:
        return ""
    effect = tempering(facts.predictions, found.temperature)
    return (
        f"Logits are divided by a temperature of {found.temperature:.3g}, fitted on "
        f"{counted(found.images, 'validation image')}, before softmax makes "
        "probabilities of them; on the test images the expected calibration error is "
        f"{effect['error_after']:.3f} with it and {effect['error_before']:.3f} without."
    )


def _text(text: str) -> Markup:
    """Return a text that may be anybody's as it appears in Markdown, in one line."""
    return Markup(markdown_cell(text))


def _front_matter(facts: CardFacts, scores: Mapping[str, float]) -> str:
    names = ("accuracy", "macro_f1")
    metrics = [{"type": name, "value": round(scores[name], 4)} for name in names]
    run_name, data = (
        " ".join(name.split()) for name in (facts.description.run_name, facts.data)
    )
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"name": data, "type": "image-classification"},
        "metrics": metrics,
    }
    content: dict[str, Any] = {
        "library_name": facts.library,
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "clothing", TAG],
        "metrics": list(names),
        "model-index": [{"name": run_name or "model", "results": [result]}],
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _note(shared_groups: float | None) -> str:
    if not shared_groups:
        return ""
    return (
        f", of which {shared_groups:.0%} are of a group (such as a sender) that the "
        "training has images of as well"
    )


def _metric_rows(
    predictions: pd.DataFrame, scores: Mapping[str, float]
) -> list[dict[str, str]]:
    names = numbers.class_names(predictions)
    labels = pd.Index(names).get_indexer(pd.Index(predictions["label"]))
    predicted = predictions[names].to_numpy().argmax(axis=1)
    runs = [[(np.arange(len(labels)), predicted)]]
    drawn = bootstrap(labels, runs, len(names))
    rows = []
    for name, metric in METRICS.items():
        if name not in scores or not metric.tables:
            continue
        interval = ""
        if metric.top:
            hits = round(scores[name] * len(predictions))
            interval = _interval(wilson_interval(hits, len(predictions)))
        elif name in drawn:
            interval = _interval(drawn[name].interval(0))
        rows.append(
            {
                "label": metric.label,
                "value": f"{scores[name]:.3f}",
                "interval": interval,
            }
        )
    return rows


def _interval(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.3f} to {ends[1]:.3f}"


def _class_rows(
    predictions: pd.DataFrame, counts: pd.DataFrame
) -> list[dict[str, object]]:
    each = numbers.per_class(predictions)
    return [
        {
            "name": _text(str(name)),
            **{key: _share(row[key]) for key in ("precision", "recall", "f1")},
            "test": int(row["support"]),
            "train": int(counts["train"].get(name, 0)),
        }
        for name, row in each.iterrows()
    ]


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _limits(facts: CardFacts) -> list[str | Markup]:
    """Return where the numbers above do not hold."""
    support = numbers.per_class(facts.predictions)["support"]
    few = [_text(str(name)) for name in support.index[support < FEW_IMAGES]]
    limits: list[str | Markup] = [
        f"Photos of anything but these {len(support)} classes: it answers one of them "
        "nevertheless.",
        f"Photos that were taken otherwise than those of {_text(facts.data)}: the "
        "numbers above say nothing of them.",
    ]
    if few:
        limits.append(
            Markup("{}, with fewer than {} test images: {}.").format(
                counted(len(few), "class", "classes").capitalize(),
                FEW_IMAGES,
                Markup(", ").join(few),
            )
        )
    if facts.shared_groups:
        limits.append(
            "Groups (such as senders) that it has never seen: "
            f"{facts.shared_groups:.0%} of the test images are of groups that the "
            "training has images of, so the numbers above are too good for others, and "
            "their intervals, which take photos as independent, too narrow."
        )
    return limits

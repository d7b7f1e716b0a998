"""The page that tries a network: photos are dropped on it, and answered."""

from dataclasses import dataclass

from clothing_lightning.metrics.selective import Calibration
from clothing_lightning.reports.page import render
from clothing_lightning.wording import counted

_ASKED = (0.9, 0.95, 0.99)


@dataclass(frozen=True)
class AppFacts:
    """What the page says of a network.

    Attributes:
        title: Name of the run.
        backbone: Name of the network.
        class_count: Number of its classes.
        calibration: What the validation images say of its confidence, or None.
        threshold: The least probability that is answered at first.
        notes: What else has to be said, a sentence each.
        most_bytes: Size of the largest file that is taken.
        media_type: Type that photos are sent as.
    """

    title: str
    backbone: str
    class_count: int
    calibration: Calibration | None
    threshold: float
    notes: tuple[str, ...]
    most_bytes: int
    media_type: str


def app_page(facts: AppFacts) -> str:
    """Write the page, which asks its own server alone."""
    calibration = facts.calibration
    points = calibration.points if calibration else []
    reached = [(asked, calibration and calibration.reaching(asked)) for asked in _ASKED]
    steps = [(f"{100 * asked:.0f} %", at.threshold) for asked, at in reached if at]
    data = {
        "threshold": facts.threshold,
        "most_bytes": facts.most_bytes,
        "media_type": facts.media_type,
        "images": calibration.images if calibration else 0,
        "points": [
            [point.threshold, point.answered, point.accuracy, *point.interval]
            for point in points
        ],
    }
    return render(
        "app_page.html",
        title=facts.title,
        subtitle=f"{facts.backbone}, {counted(facts.class_count, 'class', 'classes')}",
        notes=facts.notes,
        steps=steps,
        data=data,
    )

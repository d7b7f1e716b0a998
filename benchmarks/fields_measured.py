"""Derived receptive fields against fields measured by gradients.

    python -m benchmarks.fields_measured [NAME ...]

Prints how many agree in size, stride and padding, and each that does not. The list of
architectures, by family, is in convolutional.txt.
"""

import argparse
import time
from pathlib import Path

import timm
from rich.progress import track

from clothing_lightning.models.backbones import create_on_meta, input_size_of
from clothing_lightning.network_analysis.complexity import analyze
from clothing_lightning.network_analysis.receptive_field import ReceptiveField
from tests.network_analysis.measured_field import measured_field

LIST = Path(__file__).with_name("convolutional.txt")


def main() -> None:
    """Print the share that agrees, and each that does not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    families = families_of(LIST)
    names = parser.parse_args().names or [n for all_ in families.values() for n in all_]
    began = time.perf_counter()
    agreed = set()
    for name in track(names, "measuring"):
        derived, measured = fields(name)
        if derived == measured:
            agreed.add(name)
        else:
            print(f"{name}: derived {derived}, measured {measured}")
    touched = [f for f, members in families.items() if agreed & set(members)]
    print(f"{len(agreed)} of {len(names)} agree, of {len(touched)} families")
    print(f"{(time.perf_counter() - began) / 60:.1f} min")


def families_of(file: Path) -> dict[str, list[str]]:
    """Names by family."""
    lines = file.read_text(encoding="utf-8").splitlines()
    parts = (line.partition(":") for line in lines if not line.startswith("#"))
    return {family: names.split() for family, _, names in parts}


def fields(name: str) -> tuple[ReceptiveField | None, ReceptiveField | str]:
    """Field of a network by both ways; of the second, or why there is none."""
    channels, height, width = input_size_of(name)
    size = height, width
    derived = analyze(create_on_meta(name, size), size, name=name).field.field
    try:
        return derived, measured_field(
            timm.create_model(name.partition(".")[0]),
            image_size=size,
            channels=channels,
        )
    except ValueError as err:
        return derived, str(err)


if __name__ == "__main__":
    main()

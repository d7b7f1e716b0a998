import math
from typing import Any

import pytest
import timm
from torch import nn
from torch.optim import AdamW

from clothing_lightning.errors import ConfigError
from clothing_lightning.models.phases import (
    Part,
    Phase,
    PhasedModule,
    first_epoch,
    freeze_all_but,
    keep_frozen_in_eval,
    phase_of,
    trained_names,
)

HEAD = {"fc.weight", "fc.bias"}


def network(**options: Any) -> nn.Module:
    return timm.create_model("resnet18", num_classes=4, **options)


def blocks(names: set[str]) -> set[str]:
    """Blocks such as ``layer3.1``, and layers outside of them."""
    return {
        ".".join(name.split(".")[: 2 if name.startswith("layer") else 1])
        for name in names
    }


# Which part


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ("head", {"fc"}),
        ("last: 1/3", {"layer3.1", "layer4.0", "layer4.1", "fc"}),
        ({"last": "1/3"}, {"layer3.1", "layer4.0", "layer4.1", "fc"}),
        ("last: 0.01", {"layer4.1", "fc"}),
        ({"last": 0.25}, {"layer4.0", "layer4.1", "fc"}),
        ("layer4.*", {"layer4.0", "layer4.1"}),
        (["head", "layer1.0.*"], {"layer1.0", "fc"}),
    ],
)
def test_part_of_a_resnet(train: Part, expected: set[str]) -> None:
    net = network()
    found = trained_names(net, Phase(1, train))
    assert blocks(found) == expected
    outside = {name for name, _ in net.named_parameters()} - found
    assert not blocks(outside) & expected  # blocks are whole


def test_all_and_the_whole_of_it_by_depth_are_the_same() -> None:
    net = network()
    everything = {name for name, _ in net.named_parameters()}
    assert trained_names(net, Phase()) == everything
    assert trained_names(net, Phase(train="last: 1")) == everything


def test_pattern_may_name_parameters_of_many_layers() -> None:
    found = trained_names(network(), Phase(train="*.bn?.bias"))
    assert len(found) == 16
    assert all(name.endswith(".bias") for name in found)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("haed", r"train is 'haed', which no parameter is called.*names: head"),
        ("layer5.*", r"'layer5\.\*', which no parameter .*Closest names: layer"),
        (["head", "cf.weight"], r"'cf\.weight', which .*Closest names: fc\.weight"),
        ({"first": "1/3"}, r"'first: 1/3', which no parameter is called"),
        ("last: 0", r"train is 'last: 0'\. It is a share of the backbone, above 0"),
        ("last: 4/3", r"train is 'last: 4/3'\. It is a share"),
        ("last: 1/0", r"train is 'last: 1/0'\. It is a share"),
        ("last: third", r"train is 'last: third'\. It is a share"),
        ({"last": math.nan}, r"train is 'last: nan'\. It is a share"),
        ([], r"train is empty\. Write head, all"),
        ({}, r"train is empty\. Write head, all"),
        ("", r"train is '', which no parameter is called"),
    ],
)
def test_part_that_is_none_is_an_error(train: Part, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"init_args\.phases: .*{message}"):
        trained_names(network(), Phase(1, train))


# What is frozen


def modes(net: nn.Module) -> dict[str, bool]:
    return {name: module.training for name, module in net.named_modules()}


def test_frozen_blocks_are_in_eval_with_all_that_is_in_them() -> None:
    net = network(drop_path_rate=0.2)
    freeze_all_but(net, trained_names(net, Phase(1, "last: 1/3")))
    net.train()
    keep_frozen_in_eval(net)
    found = modes(net)
    for name, training in found.items():
        frozen = name.startswith(("conv1", "bn1", "layer1", "layer2", "layer3.0"))
        if frozen or name.startswith(("layer3.1", "layer4", "fc")):
            assert training != frozen, name
    assert found["layer4.1.drop_path"]
    assert found[""]  # whose dropout comes before the head, which trains


def test_a_norm_of_which_a_part_trains_counts() -> None:
    net = network()
    freeze_all_but(net, {"layer2.0.bn1.bias"})
    net.train()
    keep_frozen_in_eval(net)
    assert modes(net)["layer2.0.bn1"]
    assert not modes(net)["layer2.0.bn2"]


def test_features_of_a_head_that_trains_alone_are_those_of_a_test() -> None:
    net = network(drop_rate=0.5)
    freeze_all_but(net, HEAD)
    net.train()
    keep_frozen_in_eval(net)
    assert not any(modes(net).values())


# One after the other


def test_epochs_are_divided_among_phases() -> None:
    phases = [Phase(2), Phase(1), Phase()]
    assert [first_epoch(phases, index) for index in range(4)] == [0, 2, 3, 3]
    assert [phase_of(phases, epoch) for epoch in range(6)] == [0, 0, 1, 2, 2, 2]
    assert phase_of(phases[:2], 99) == 1


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ([], r"phases is empty\. Leave it out"),
        ([Phase(), Phase(2)], "a phase before the last has no epochs"),
    ],
)
def test_phases_that_do_not_follow_are_an_error(
    phases: list[Phase], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        PhasedModule(network(), phases, AdamW, None, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, r"epochs is 0\. The least is 1"),
        ({"lr_factor": 0.0}, r"lr_factor is 0\.0\. It is above 0"),
        ({"lr_factor": math.inf}, r"lr_factor is inf\. It is above 0"),
        ({"warmup": 1.5}, r"warmup is 1\.5\. It is a share"),
        ({"warmup": math.nan}, r"warmup is nan\. It is a share"),
    ],
)
def test_number_out_of_range_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"init_args\.phases: {message}"):
        Phase(**options)

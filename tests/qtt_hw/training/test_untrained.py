"""What is planned before training."""

import pytest

from qtt_hw.training.config import Config
from qtt_hw.training.sections import CompressSection, ModelConfig
from qtt_hw.training.untrained import untrained


@pytest.mark.parametrize(
    ("how", "steps"),
    [
        (None, ("conv2",)),
        (CompressSection(ranks={"conv2": (8, 12, 10)}), ("conv2.in", "conv2.h", "conv2.w", "conv2.out")),
        (CompressSection(ranks={"conv2": (20, 12, 50)}), ("conv2.h", "conv2.w")),
        (CompressSection(form="tucker", tucker={"conv2": (6, 9)}), ("conv2.first", "conv2.core", "conv2.last")),
        # Selected in training, so not known yet.
        (CompressSection(ranking="evbmf"), ("conv2",)),
    ],
)
def test_given_ranks_are_planned(how: CompressSection | None, steps: tuple[str, ...]) -> None:
    config = Config(model=ModelConfig(name="lenet"), compress=how)
    graph = untrained(config, input_shape=(1, 1, 28, 28), classes=10).graph
    assert tuple(node.name for node in graph.nodes if node.name.startswith("conv2")) == steps


def test_ranks_of_some_layers_are_not_enough() -> None:
    how = CompressSection(ranks={"stages.0.0.conv1": (8, 8, 8)})
    config = Config(model=ModelConfig(name="resnet20", args={"shortcut": "pad"}), compress=how)
    with pytest.raises(ValueError, match=r"ranks of stages.0.0.conv2 are selected in training; .* give them too"):
        untrained(config, input_shape=(3, 1, 32, 32), classes=10)

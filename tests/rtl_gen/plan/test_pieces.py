"""Networks whose branches do not nest: planned in pieces, with words that all their readers take."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qtt_hw.fixedpoint import Format
from qtt_hw.graph import Edge, Graph, InputSpec
from qtt_hw.lower.freeze import freeze
from qtt_hw.lower.prepare import prepare
from rtl_gen.emit import emit
from rtl_gen.families import device, family_of
from rtl_gen.plan.hardware import hardware_of
from rtl_gen.plan.nest import DoesNotNest, nest
from rtl_gen.plan.problem import Problem
from rtl_gen.plan.search import plan
from rtl_gen.plan.swaps import Swaps
from sim.cosim import cosim

IMAGE = Format(8, True, 7)
SHAPE = (1, 4, 5, 2)


class Hierarchical(nn.Module):
    """As in Res2Net: each part of the channels is added to what came of the part before, and put beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.last = nn.Conv3d(2, 12, 1), nn.Conv3d(12, 4, 1)
        self.parts = nn.ModuleList(nn.Conv3d(4, 4, (1, 3, 3), padding=(0, 1, 1)) for _ in range(2))
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        a, b, c = self.stem(x).chunk(3, 1)
        b = F.relu(self.parts[0](b))
        c = F.relu(self.parts[1](b + c))
        return self.head(self.last(torch.cat([a, b, c], 1)).relu().mean((2, 3, 4)))


class Crossed(nn.Module):
    """Two branches, each of which reads the other's middle, gated and put together."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(2, 6, 1)
        self.one, self.two = nn.Conv3d(6, 6, 1), nn.Conv3d(6, 6, (1, 3, 3), padding=(0, 1, 1))
        self.three, self.four = nn.Conv3d(6, 6, 1), nn.Conv3d(6, 6, 1)
        self.head = nn.Linear(12 * 20, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        a, b = self.one(x), self.two(x)
        c = torch.sigmoid(self.three(a)) * b
        return self.head(torch.cat([self.four(b) + a, c], 1).flatten(1))


def graph_of(net: nn.Module) -> tuple[Graph, np.ndarray]:
    x = np.random.default_rng(0).integers(-128, 128, (8, *SHAPE))
    values = torch.from_numpy(x.transpose(0, 4, 1, 2, 3) / 128.0).float()
    model = prepare(net, values[:1], input_format=IMAGE)
    model.calibrate([values])
    return freeze(model, InputSpec(Edge(SHAPE, IMAGE), SHAPE)), x


@pytest.mark.filterwarnings("ignore::qtt_hw.errors.CalibrationWarning")
@pytest.mark.parametrize(
    ("net", "fps"),
    [
        (Hierarchical, None),
        pytest.param(Crossed, 30_000.0, marks=pytest.mark.long),
    ],
)
def test_they_are_planned_and_simulated_as_predicted(tmp_path, net: type[nn.Module], fps: float | None) -> None:
    torch.manual_seed(0)
    graph, x = graph_of(net())
    with pytest.raises(DoesNotNest):
        nest(graph)
    chosen = plan(graph, device("ecp5-25f"), fps=fps)
    specs, _ = hardware_of(graph, chosen)
    foldings = {stage.stage: stage.folding for stage in chosen.stages}
    swaps = Swaps.of(graph, foldings, family_of(device("ecp5-25f")))
    assert swaps.agree(specs)
    assert all(x.folding.lanes & (x.folding.lanes - 1) == 0 for x in specs)
    emit(graph, tmp_path / "build", chosen, taps=True)
    for stalls in (False, ("mostly", "bursty")):
        found = cosim(tmp_path / "build", x, stalls=stalls, seed=1)  # type: ignore[arg-type]
        assert found.equal and found.cycles_equal in (True, None)
    assert fps is None or chosen.predicted.mean <= chosen.clock_mhz * 1e6 / fps


def test_every_stage_is_a_piece() -> None:
    graph, _ = graph_of(Crossed())
    problem = Problem.of(graph, {}, family_of(device("ecp5-25f")))
    assert [piece.item.name for piece in problem.items] == [n.name for n in graph.nodes if not n.relabels]  # type: ignore[union-attr]

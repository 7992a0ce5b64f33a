"""The search for a network's ranks, on a network trained in a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from qtt_hw.data import Splits
from qtt_hw.nn import TTConv2d, TTConv3d
from qtt_hw.nn.low_rank_linear import LowRankLinear
from qtt_hw.nn.tt_conv import TTConvNd
from qtt_hw.rank.study import open_storage
from qtt_hw.training import float_model, train
from qtt_hw.training.compressed import compressible, network_of, rebuilt, under_compression
from qtt_hw.training.config import Config, load_config
from qtt_hw.training.rank_search import MOST_DOUBLINGS, MOST_STEPS, Cost, RankSearch, alike
from qtt_hw.training.sections import CompressSection, ModelConfig
from rtl_gen.families import Device, device

TOML = """
[model]
name = "voxtt"
args = { widths = [6, 8, 8], strides = [1, 2, 1], head = "average", dense = true }
[data]
block = 2
[train]
epochs = 6
batch = 8
lr = 1e-2
threads = 1
[quant]
weight_bits = 4
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, solids: Splits) -> tuple[nn.Module, Config]:
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "dense.toml").write_text(TOML)
    config = load_config(folder / "dense.toml")
    float_only = config.changed("float", {}, without=["quant"])
    train(float_only, solids, folder / "run")
    return float_model(folder / "run"), config


def searching(trained: tuple[nn.Module, Config], splits: Splits, what: Device | None = None) -> RankSearch:
    network, config = trained
    return RankSearch(network, config, splits, what or device("ecp5-25f"), steps=4)


def test_layers_of_one_shape_go_together() -> None:
    network = nn.Sequential(*(nn.Conv2d(a, b, 3) for a, b in ((3, 4), (4, 4), (4, 4), (4, 8))))
    assert alike(network, ("1", "2", "3")) == {"4x4x3x3": ("1", "2"), "8x4x3x3": ("3",)}


def test_a_trial_s_numbers(trained: tuple[nn.Module, Config], solids: Splits) -> None:
    search = searching(trained, solids)
    assert list(search.groups) == ["8x6x3x3x3", "8x8x3x3x3"]
    assert search.space == {**dict.fromkeys(search.groups, (1, 1 + MOST_STEPS)), "multiple": (1, 1 + MOST_DOUBLINGS)}
    whole = search.ranks(dict.fromkeys(search.space, 1))
    assert whole == {} and not any(isinstance(m, TTConv3d) for m in search.compressed(whole).modules())
    loose = search.ranks({**dict.fromkeys(search.groups, 15), "multiple": 1})
    rounded = search.ranks({**dict.fromkeys(search.groups, 15), "multiple": 3})
    assert set(loose) == {name for names in search.groups.values() for name in names}
    for name, ranks in rounded.items():
        assert all(r % 4 == 0 or r < 4 or r in (6, 18) for r in ranks)
        assert all(a >= b for a, b in zip(ranks, loose[name], strict=True))
    network = search.compressed(loose)
    for name, ranks in loose.items():
        layer = network.get_submodule(name)
        assert isinstance(layer, TTConv3d) and layer.ranks == ranks and layer.relative_error <= 0.7 + 1e-9
    assert not any(isinstance(module, TTConv2d | TTConv3d) for module in search.network.modules())


@st.composite
def numbered_layers(draw: st.DrawFn) -> tuple[nn.Conv2d | nn.Conv3d | nn.Linear, int, int]:
    """A convolution or linear layer of any shape, and a trial's numbers for it."""
    axes = draw(st.sampled_from([0, 2, 3]))
    channels = st.sampled_from([1, 3, 4, 8, 16, 24, 54, 64])
    kernel = draw(st.tuples(*[st.sampled_from([1, 1, 3])] * axes))
    layer: nn.Conv2d | nn.Conv3d | nn.Linear
    if axes:
        layer = (nn.Conv2d if axes == 2 else nn.Conv3d)(draw(channels), draw(channels), kernel)
    else:
        layer = nn.Linear(draw(channels), draw(channels))
    return layer, draw(st.integers(1, 1 + MOST_STEPS)), draw(st.integers(1, 1 + MOST_DOUBLINGS))


@example((nn.Conv2d(16, 32, 1), 2, 1))
@example((nn.Conv2d(64, 16, 1), 8, 2))
@example((nn.Conv3d(8, 64, (3, 1, 1)), 2, 4))
@example((nn.Linear(64, 24), 12, 2))
@settings(deadline=None)
@given(numbered_layers())
def test_what_a_trial_chooses_can_be_trained(case: tuple[nn.Conv2d | nn.Conv3d | nn.Linear, int, int]) -> None:
    layer, number, multiple = case
    network = nn.Sequential(layer).eval()
    nn.init.normal_(layer.weight)
    config = Config(model=ModelConfig(name="net.py:Net"), compress=CompressSection(layers=("0",)))
    search = RankSearch(network, config, None, device("ecp5-25f"))  # type: ignore[arg-type]
    (group,) = search.groups
    ranks = search.ranks({group: number, "multiple": multiple})
    if not ranks:
        return
    chosen = search.compressed(ranks)[0]
    assert isinstance(chosen, TTConvNd | LowRankLinear)
    how = CompressSection(ranks=ranks, layers=("0",), epochs=1, pairs=1)
    made = network_of(under_compression(network, how))
    assert repr(made[0]) == repr(chosen)
    assert repr(rebuilt(network, made.state_dict())[0]) == repr(chosen)
    assert repr(type(chosen).from_dense(layer, ranks["0"])) == repr(chosen)  # type: ignore[arg-type]


def test_large_linear_layers_are_searched(solids: Splits) -> None:
    network = nn.Sequential(nn.Linear(64, 64), nn.Linear(63, 65), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3))
    config = Config(model=ModelConfig(name="net.py:Net"))
    search = RankSearch(network, config, solids, device("ecp5-25f"))
    assert search.layers == ("0", "3") and list(search.groups) == ["64x64", "4x4x3x3"]
    other = config.changed("own", {"compress": {"form": "both", "bits": 4}})
    assert RankSearch(network, other, solids, device("ecp5-25f")).layers == ("0", "3")
    assert compressible(network) == ("3",)  # in learning-compression alone linear layers are those that are named
    with pytest.raises(
        ValueError, match="no convolution behind its first, and no linear layer of 4096 weights or more"
    ):
        RankSearch(network[1:3], config, solids, device("ecp5-25f")).check()


def test_the_front(trained: tuple[nn.Module, Config], solids: Splits, tmp_path: Path) -> None:
    search = searching(trained, solids)
    before = {name: value.clone() for name, value in search.network.state_dict().items()}
    storage = open_storage(tmp_path / "study")
    told: list[tuple[str, float, float, str]] = []

    def tell(step: str, done: float = 0, total: float = 0, text: str = "") -> None:
        told.append((step, done, total, text))

    front = search.front(6, storage=storage, progress=tell)
    assert {(step, total) for step, _, total, _ in told} == {("ranks", 6)}
    assert [done for _, done, _, text in told if not text] == [1, 2, 3, 4, 5, 6]
    counts = [done for _, done, _, text in told if text.startswith("plan: search: between")]
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] > 0  # what is planned keeps the count
    points = front.points
    assert points and front.trials == 6 and [p.cycles for p in points] == sorted(p.cycles or 0 for p in points)
    assert len({repr(point.ranks) for point in points}) == len(points)
    for point in points:
        for other in points:
            no_better = other.accuracy <= point.accuracy or other.cycles > point.cycles or other.brams > point.brams  # type: ignore[operator]
            assert no_better or other.ranks == point.ranks
        network = search.compressed(point.ranks)
        assert Cost(point.cycles, point.brams, point.macs) == search.cost(network)
        assert point.parameters == sum(p.numel() for p in network.parameters())
    assert search.front(6, storage=storage) == front  # nothing is tried again
    assert all(torch.equal(before[name], value) for name, value in search.network.state_dict().items())


def test_another_device_training_or_network_is_another_study(
    trained: tuple[nn.Module, Config], solids: Splits, tmp_path: Path
) -> None:
    search = searching(trained, solids)
    network, config = trained
    deeper = nn.Sequential(network, nn.Identity())
    slower = config.changed("dense", {"train": {"lr": 5e-3}})
    others = [
        searching(trained, solids, device("none")),
        replace(search, steps=5),
        replace(search, lr=2e-3),
        replace(search, network=deeper),
        replace(search, config=slower),
    ]
    names = [each.identity("cycles") for each in (search, *others)] + [search.identity("macs")]
    assert len(set(names)) == len(names)
    # The same storage serves them all.
    storage = open_storage(tmp_path / "study")
    tiny = searching(trained, solids, Device("tiny", 2, 1, 1000)).front(2, storage=storage)
    assert all(p.cycles is None for p in tiny.points)
    assert all(p.cycles is not None for p in search.front(2, storage=storage).points)


def test_equal_ranks_are_trained_once(
    trained: tuple[nn.Module, Config], solids: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = searching(trained, solids)
    seen: list[str] = []
    own = RankSearch.tuned

    def tuned(self: RankSearch, network: nn.Module) -> float:
        seen.append(repr(network))
        return own(self, network)

    monkeypatch.setattr(RankSearch, "tuned", tuned)
    monkeypatch.setattr("qtt_hw.training.rank_search.MOST_STEPS", 1)
    monkeypatch.setattr("qtt_hw.training.rank_search.STEP", 1e-6)  # no train is smaller at that error
    assert len(search.front(6).points) == 1 and len(seen) == 1


def test_multiplications_are_another_objective(trained: tuple[nn.Module, Config], solids: Splits) -> None:
    points = searching(trained, solids).front(4, by="macs").points
    best = sorted(points, key=lambda p: p.macs)
    assert [p.accuracy for p in best] == sorted(p.accuracy for p in best)


def test_what_fits_no_device_is_no_point_unless_nothing_does(trained: tuple[nn.Module, Config], solids: Splits) -> None:
    points = searching(trained, solids, Device("tiny", 2, 1, 1000)).front(3).points
    assert points and all(p.cycles is None and p.brams is None for p in points)


def test_what_cannot_be_searched(trained: tuple[nn.Module, Config], solids: Splits) -> None:
    network, config = trained
    for layers, fault in ((["gone"], "no layer 'gone'"), (["head.1"], "head.1 is a Flatten")):
        other = config.changed("other", {"compress": {"layers": layers}})
        with pytest.raises(ValueError, match=fault):
            RankSearch(network, other, solids, device("ecp5-25f")).check()
    body = (nn.Conv3d(8, 4, 3, padding=1), nn.Softmax(1), nn.Conv3d(4, 4, 3, padding=1))
    flat = nn.Sequential(*body, nn.Flatten(), nn.Linear(4 * 64, 3))
    with pytest.raises(ValueError, match="Softmax"):
        RankSearch(flat.eval(), config, solids, device("ecp5-25f")).check()

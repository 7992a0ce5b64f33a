"""From a configuration to learning-compression, and on to the compressed network."""

from __future__ import annotations

import warnings

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from qtt_hw.lc.compression import Codes, TensorTrain, Tucker, Whole
from qtt_hw.lower.prepare import prepare
from qtt_hw.nn import TTConv2d, TTConv3d
from qtt_hw.nn.low_rank_linear import LowRankLinear
from qtt_hw.nn.tucker_conv import TuckerConv
from qtt_hw.training.compressed import (
    PenalisedByLC,
    compressible,
    described,
    milestones,
    network_of,
    rebuilt,
    under_compression,
)
from qtt_hw.training.sections import CompressSection


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3, stride=2, groups=2),
        nn.Conv2d(6, 10, (1, 3), stride=(2, 1)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(10, 4),
    )


def section(**options: object) -> CompressSection:
    return CompressSection(**{"epochs": 6, "pairs": 3, **options})  # type: ignore[arg-type]


def test_all_convolutions_but_the_first_and_the_grouped_ones() -> None:
    assert compressible(net()) == ("2", "6")
    assert compressible(nn.Sequential(nn.Conv3d(1, 2, 3), nn.Conv3d(2, 2, 3))) == ("1",)


def test_what_the_configuration_says() -> None:
    model = under_compression(net(), section(layers=("2",), ranks={"2": (2, 4, 3)}, tucker={"2": (3, 3)}))
    model.compress()
    assert model.compression("2") == TensorTrain((2, 4, 3), (3, 3))
    coded = under_compression(net(), section(form="codes", bits=3, codebook="dqc", zero=True, layers=("2", "9")))
    assert coded.compression("9") == Codes(3, "dqc", True)
    both = under_compression(net(), section(form="both", bits=4, ranks={"2": (2, 2, 2)}, layers=("2",)))
    assert both.compression("2") == TensorTrain((2, 2, 2), None, Codes(4))
    loose = under_compression(net(), section(factor=0.0))
    loose.compress()
    assert isinstance(loose.compression("6"), Whole)
    under_compression(net(), section(pairs=7, form="codes", bits=3))
    under_compression(net(), section(pairs=7, ranks={"2": (2, 2, 2)}, tucker={"6": (2, 2)}))


def test_c_steps_lie_between_l_steps_of_equal_length() -> None:
    model = under_compression(net(), section())
    assert [m.step for m in milestones(model, section(), 10)] == [20, 40]
    assert milestones(model, section(pairs=1), 10) == ()
    short = {"epochs": 1, "ranks": {"2": (2, 2, 2)}}
    assert [m.step for m in milestones(model, section(pairs=5, **short), 10)] == [2, 4, 6, 8]
    with pytest.raises(ValueError, match="11 pairs need as many steps, 1 epochs have 10"):
        milestones(model, section(pairs=11, **short), 10)


@pytest.mark.parametrize("method", ["augmented", "penalty"])
@pytest.mark.parametrize(("ranks", "ends"), [((3, 5, 3), True), ((8, 3, 8), False)])
def test_the_compressed_network_computes_what_the_last_c_step_made(method: str, ranks: tuple, ends: bool) -> None:
    how = section(layers=("2", "6"), ranks={"2": ranks, "6": (4, 4, 4)}, method=method)
    model = under_compression(net(), how).eval()
    x = torch.randn(2, 3, 9, 8)
    base = model(x)
    pulled = PenalisedByLC(lambda x, scores, y: scores.sum() * 0.0, model)
    assert pulled(x, base, x) == 0
    model.compress()
    with torch.no_grad():
        for weight in model.weights.values():
            weight.add_(0.1 * torch.randn_like(weight))
    assert pulled(x, base, x) == model.penalty() > 0
    log = described(model)
    assert log["c_steps"] == 1 and log["distance"] > 0 and log["penalty"] == float(model.penalty().detach())
    small = network_of(model).eval()
    assert isinstance(small[2], TTConv2d) and small[2].ranks == ranks and isinstance(small[6], TTConv2d)
    assert small[2].ends == (ends, ends)
    assert isinstance(small[0], nn.Conv2d) and isinstance(model.network[2], nn.Conv2d)
    dense = net().eval()
    dense.load_state_dict(model.network.state_dict())
    with torch.no_grad():
        for index, name in enumerate(model.weights):
            dense.get_submodule(name).weight.copy_(getattr(model, f"target_{index}"))
    assert torch.allclose(small(x), dense(x), atol=1e-5)
    again = rebuilt(net(1), small.state_dict()).eval()
    assert torch.equal(again(x), small(x)) and isinstance(again[6], TTConv2d) and again[6].stride == (1, 2, 1)


def test_tucker_2_is_three_convolutions() -> None:
    how = section(form="tucker", layers=("2", "6"), tucker={"2": (3, 4), "6": (4, 5)})
    model = under_compression(net(), how).eval()
    assert model.compression("2") == Tucker((3, 4))
    small = network_of(model).eval()
    assert isinstance(small[2], TuckerConv) and small[2].core.weight.shape == (4, 3, 3, 3)
    assert small[2].ranks == (3, 4) and small[6].ranks == (4, 5)
    assert small[6].core.stride == (2, 1) and small[6].last.bias is not None
    dense, x = net().eval(), torch.randn(2, 3, 9, 8)
    with torch.no_grad():
        for index, name in enumerate(model.weights):
            dense.get_submodule(name).weight.copy_(getattr(model, f"target_{index}"))
    assert torch.allclose(small(x), dense(x), atol=1e-5)
    again = rebuilt(net(1), small.state_dict()).eval()
    assert torch.equal(again(x), small(x))
    rest = nn.Sequential(*(small[i] for i in range(5)), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    stages = [stage.name for stage in prepare(rest, x).stage_list]
    assert stages[1:4] == ["2.first", "2.core", "2.last"]
    chosen = under_compression(net(), section(form="tucker", factor=0.8))
    chosen.compress()
    assert isinstance(chosen.compression("2"), Tucker | Whole)
    full = TuckerConv.from_dense(net()[2], (8, 8))
    assert torch.allclose(full(torch.ones(1, 8, 4, 4)), net()[2](torch.ones(1, 8, 4, 4)), atol=1e-5)


def test_coded_weights_are_set() -> None:
    model = under_compression(net(), section(form="codes", bits=3, codebook="dqc", layers=("2", "9")))
    small = network_of(model)
    for name in ("2", "9"):
        sizes = small.get_submodule(name).weight.detach().abs().log2()
        assert torch.equal(sizes, sizes.round())
    assert type(small[2]) is nn.Conv2d


@pytest.mark.parametrize("ranks", [(2, 3, 2), (8, 3, 8)])
def test_cores_of_both_are_codes_whatever_the_ends(ranks: tuple) -> None:
    how = section(form="both", bits=3, codebook="dqc", layers=("2",), ranks={"2": ranks})
    small = network_of(under_compression(net(), how))
    for core in small[2].cores:
        sizes = core.detach().abs().log2()
        assert torch.equal(sizes, sizes.round())


@pytest.mark.parametrize("ranks", [(2, 3, 3, 2), (6, 3, 3, 2), (2, 3, 3, 6), (6, 3, 3, 6)])
def test_volumes_become_volumes(ranks: tuple) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 6, 3), nn.Conv3d(6, 6, 3, bias=False))
    small = network_of(under_compression(network, section(ranks={"1": ranks})))
    assert isinstance(small[1], TTConv3d) and small[1].ranks == ranks
    assert small[1].ends == (ranks[0] == 2, ranks[3] == 2)
    again = rebuilt(network, small.state_dict())
    x = torch.randn(1, 1, 6, 6, 6)
    assert torch.equal(again(x), small(x))


@pytest.mark.parametrize("form", ["given", "both", "evbmf", "bayes", "published"])
def test_linear_layers_that_are_named(form: str) -> None:
    how = {"given": {"ranks": {"9": (2,)}}, "both": {"form": "both", "bits": 4, "ranks": {"9": (2,)}}}
    network = net()
    with torch.no_grad():  # of rank 1, as far as noise tells
        weight = network[9].weight
        weight.mul_(0.01).add_(torch.outer(torch.ones(4), torch.arange(10.0)))
    model = under_compression(network, section(layers=("9",), **how.get(form, {"ranking": form})))
    small = network_of(model).eval()
    assert type(small[9]) is LowRankLinear and small[9].ranks == ((2,) if form in how else small[9].ranks)
    x = torch.randn(2, 3, 9, 8)
    dense = net().eval()
    dense.load_state_dict(model.network.state_dict())
    with torch.no_grad():
        dense[9].weight.copy_(model.target_0)
    assert torch.allclose(small(x), dense(x), atol=1e-5)
    again = rebuilt(net(1), small.state_dict()).eval()
    assert torch.equal(again(x), small(x)) and type(again[9]) is LowRankLinear


@pytest.mark.parametrize("form", ["train", "tucker"])
def test_taps_stay_as_far_apart(form: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Conv2d(6, 8, 3, 2, (1, 2), dilation=(1, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of full ranks, with which nothing is lost
        small = network_of(under_compression(network, section(form=form, tucker={"1": (6, 8)})))
        again = rebuilt(network, small.state_dict())
    x = torch.randn(1, 1, 9, 9)
    assert type(small[1]) is (TTConv2d if form == "train" else TuckerConv)
    assert torch.allclose(small(x), network(x), atol=1e-5) and torch.equal(again(x), small(x))


def test_a_layer_that_was_saved_with_all_of_its_stages_keeps_them() -> None:
    network = net()
    with torch.no_grad():
        network[2] = TTConv2d(8, 8, 3, (8, 3, 8), padding=1)
    again = rebuilt(net(1), network.state_dict())
    assert again[2].ends == (True, True) and again[2].ranks == (8, 3, 8)
    x = torch.randn(2, 3, 9, 8)
    assert torch.allclose(again.eval()(x), network.eval()(x), atol=1e-6)
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3)), {}, "compress: the network has nothing to compress"),
        (net(), {"layers": ("conv9",)}, "compress: the network has no layer 'conv9'"),
        (net(), {"ranks": {"x": (2, 2, 2)}}, "compress: ranks of 'x', which is none of the compressed layers 2, 6"),
        (net(), {"layers": ("6",), "ranks": {"2": (2, 2, 2)}}, "ranks of '2', which is none of the compressed layers"),
        (net(), {"ranks": {"2": (2, 2)}}, "compress: ranks of '2' must be one number or 3 of them"),
        (net(), {"layers": ("8",)}, "compress: 8 is a Flatten, tensor trains are for Conv2d and Conv3d without groups"),
        (net(), {"layers": ("9",), "form": "tucker"}, '9 is a Linear, form = "tucker" is for Conv2d and Conv3d'),
        (net(), {"layers": ("9",), "ranks": {"9": (2, 2)}}, "ranks of '9' must be one number or 1 of them"),
        (net(), {"layers": ("9",), "ranks": {"9": (4,)}}, "has 56 parameters, more than the 40 of the dense layer"),
        (net(), {"layers": ("5",)}, "compress: 5 is a Conv2d, tensor trains are for"),
        (net(), {"pairs": 7}, "7 pairs in 6 epochs select the ranks of 2 before an epoch has passed: give its ranks"),
        (net(), {"pairs": 7, "ranks": {"2": (2, 2, 2)}}, "select the ranks of 6 before an epoch has passed"),
        (net(), {"pairs": 7, "ranking": "bayes", "tucker": {"2": (2, 2)}}, "select the ranks of 6 before an epoch"),
    ],
)
def test_refusals(network: nn.Module, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        under_compression(network, section(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "codes"}, 'bits are given with form = "codes" or "both"'),
        ({"bits": 4}, 'bits are given with form = "codes" or "both"'),
        ({"form": "codes", "bits": 7, "codebook": "dqc"}, 'bits must be 2 to 6 with codebook = "dqc", got 7'),
        ({"form": "codes", "bits": 4, "zero": True}, 'zero is only read with codebook = "dqc"'),
        ({"codebook": "dqc"}, "codebook and zero are of codes"),
        ({"form": "tucker", "ranks": {"2": (2, 2, 2)}}, 'ranks are those of tensor trains, not of form = "tucker"'),
        ({"form": "codes", "bits": 4, "tucker": {"2": (2, 2)}}, 'tucker ranks are not for form = "codes"'),
    ],
)
def test_a_section_that_is_not_whole(options: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        section(**options)


def test_ranks_of_no_use_are_refused() -> None:
    for changes, message in (
        ({"ranks": {"2": (99, 2, 2)}}, r"compress: ranks of '2': 99 is above 8, the largest that is of use"),
        ({"ranks": {"2": (8, 24, 8)}}, r"ranks of '2': .* has \d+ parameters, more than the \d+ of the dense layer"),
        ({"tucker": {"2": (99, 2)}}, r"tucker ranks of '2' must be at least 1, and at most 8 and 8, got \[99, 2\]"),
    ):
        with pytest.raises(ValueError, match=message):
            under_compression(net(), section(layers=("2",), **changes))

"""What each layer becomes, and that everything else is refused by name with what to use instead."""

import pytest
import torch
from torch import nn

from qtt_hw.fixedpoint import Format
from qtt_hw.lower.kinds.contraction import ContractionStage
from qtt_hw.lower.prepare import prepare
from qtt_hw.lower.prepared import PreparedModel
from qtt_hw.nn import TTConv3d, TTLinear
from qtt_hw.quant import QuantConfig

IMAGE = Format(8, True, 7)


def prepared(
    *layers: nn.Module, shape: tuple[int, ...] = (2, 4, 4, 4), fmt: Format = IMAGE, **bits: int
) -> PreparedModel:
    return prepare(nn.Sequential(*layers), torch.zeros(1, *shape), QuantConfig(**bits), fmt)


def names(model: PreparedModel) -> list[str]:
    return [stage.name for stage in model.stages]


def contraction(model: PreparedModel, name: str) -> ContractionStage:
    return next(stage for stage in model.stages if stage.name == name)


HEAD = (nn.Flatten(), nn.Linear(2 * 4 * 4 * 4, 3))


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (
            nn.Conv3d(2, 2, 2, padding=3, dilation=2),
            (
                "0 (Conv3d) does not fit its input: axis D: padding before must be 0 to 2 for kernel 2 of dilation 2, "
                "got 3; change the layer or the input size"
            ),
        ),
        (
            nn.Conv3d(2, 2, 3, padding=1, padding_mode="circular"),
            "0 (Conv3d) has padding_mode='circular', which is not supported; 'zeros' would be another network",
        ),
        (
            nn.Conv3d(2, 2, 1, padding=1),
            (
                "0 (Conv3d) does not fit its input: axis D: padding before must be 0 to 0 for kernel 1, got 1; "
                "change the layer or the input size"
            ),
        ),
        (
            nn.ConvTranspose3d(2, 2, 3),
            (
                "0 (ConvTranspose3d) is not supported; a convolution in its place would be another network, to be "
                "trained as such"
            ),
        ),
        (
            nn.LPPool3d(2, 2),
            (
                "0 (LPPool3d) is not supported; an average pool in its place would be another network, to be trained "
                "as such"
            ),
        ),
        (
            nn.GroupNorm(1, 2),
            (
                "0 (GroupNorm) is not supported; batch norm behind a convolution in its place would be another "
                "network, to be trained as such"
            ),
        ),
        (nn.Softmax(2), "0 (Softmax) is not supported within a network; one over classes at its end is left out"),
        (
            nn.Upsample(scale_factor=2),
            "0 (Upsample) is not supported; no stage makes more positions than it reads",
        ),
        (
            nn.AvgPool3d(2, divisor_override=3),
            (
                "0 (AvgPool3d) has divisor_override=3, which is not supported; without it, with the weights of the "
                "layer behind it scaled, it computes the same"
            ),
        ),
        (
            nn.AdaptiveAvgPool3d(3),
            (
                "0 (AdaptiveAvgPool3d) has output size 3, which is not supported, as it does not divide the map's "
                "[4, 4, 4]; windows of several sizes would be another kind of pool"
            ),
        ),
        (
            nn.Flatten(0),
            "0 (Flatten) joins the samples of a batch, which is not supported; nn.Flatten() is",
        ),
        (
            nn.Linear(4, 4),
            (
                "0 (Linear) would act on the last axis of a volume, which is not supported; nn.Flatten() before "
                "nn.Linear would be another network"
            ),
        ),
        (
            TTLinear((2, 2), (2, 2), 1),
            (
                "Sequential: does not run on an example of shape [1, 2, 4, 4, 4]: "
                "0 (TTLinear): TTLinear takes [N, 4], got [1, 2, 4, 4, 4]"
            ),
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_layers_are_refused_in_one_line_with_what_to_use(layer: nn.Module, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        prepared(layer)
    assert str(caught.value) == text


def two(*layers: nn.Module) -> tuple[nn.Module, ...]:
    return (nn.Conv3d(2, 2, 3, padding=1), *layers, *HEAD)


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        (
            two(nn.BatchNorm3d(2, affine=False)),
            (
                "1 (BatchNorm3d) has no weight or no bias, which is not supported; affine=True computes the same "
                "until it is trained"
            ),
        ),
        ((nn.MaxPool3d(2),), "the model has no layer with weights; add an nn.Linear"),
        (
            (nn.Conv3d(2, 2, 3),),
            (
                "the model ends with a volume of [2, 2, 2], which is not supported; ended by nn.Flatten() and "
                "nn.Linear it would be another network"
            ),
        ),
    ],
)
def test_chains_are_refused_where_the_order_is_wrong(layers: tuple[nn.Module, ...], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        prepared(*layers)
    assert str(caught.value) == text


@pytest.mark.parametrize("layers", [(*HEAD, nn.ReLU()), (nn.Conv3d(2, 3, 1), nn.ReLU(), nn.AdaptiveAvgPool3d(1))])
def test_logits_behind_a_relu_are_unsigned(inputs, assert_equal, layers: tuple[nn.Module, ...]) -> None:
    model = prepared(*layers)
    x, values = inputs(IMAGE, (4, 4, 4, 4, 2), 0)
    model.calibrate([values])
    graph = assert_equal(model, x, values)
    assert graph.output.format.bits == 15 and not graph.output.format.signed


def test_an_average_without_an_exact_reciprocal_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(fmt: Format, counts: tuple[int, ...]) -> None:
        raise ValueError(f"no exact reciprocal for {counts}")

    monkeypatch.setattr("qtt_hw.graph.kinds.pool.average_requantizer", none)
    with pytest.raises(ValueError, match=r"^1: no exact reciprocal for \(8,\)$"):
        prepared(nn.Conv3d(2, 1, 1), nn.AvgPool3d(2), nn.Flatten(), nn.Linear(8, 2))


@pytest.mark.parametrize("size", [(10, 10, 1), (3, 7, 7), (2, 14, 14)])
def test_results_are_averaged_over_a_map(inputs, assert_equal, size: tuple[int, int, int]) -> None:
    """The smallest fully convolutional network: its 16-bit results have exact means."""
    layers = nn.Conv3d(2, 3, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten()
    model = prepared(*layers, shape=(2, *size))
    x, values = inputs(IMAGE, (4, *size, 2), 0)
    model.calibrate([values])
    assert assert_equal(model, x, values).output.format.bits == 16


def test_a_refusal_counts_the_others() -> None:
    with pytest.raises(ValueError, match=r"^1 \(GroupNorm\) is not supported; .*; 2 more are refused, which qtt check"):
        prepared(nn.Conv3d(2, 2, 1), nn.GroupNorm(1, 2), nn.InstanceNorm3d(2), nn.LayerNorm(4), *HEAD)


def test_a_learned_scale_that_is_not_finite_is_told_with_its_stage(inputs) -> None:
    model = prepared(nn.Conv3d(2, 2, 1), nn.ReLU(), *HEAD)
    _, values = inputs(IMAGE, (64, 4, 4, 4, 2), 0)
    model.calibrate([values])
    model.stage_list[0].output_quantizer.log2_scale.data.fill_(float("nan"))
    said = "^0: its learned scale is not finite: training has diverged, or a function's gradient is infinite"
    with pytest.raises(ValueError, match=said):
        model.freeze_scales()
    with pytest.raises(ValueError, match=said):
        model.train()(values)


def test_weights_used_twice_are_refused_but_pools_and_relus_are_not() -> None:
    conv, relu, pool = nn.Conv3d(2, 2, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2)
    with pytest.raises(ValueError, match=r"^0 \(Conv3d\) is called twice, and shared weights are not supported"):
        prepared(conv, conv, *HEAD)
    model = prepared(conv, relu, pool, nn.Conv3d(2, 2, 1), relu, pool, nn.Flatten(), nn.Linear(2, 2))
    assert names(model) == ["0", "2", "3", "2_1", "7"]


def test_tt_convolution_is_five_stages_each_with_its_own_axis() -> None:
    layer = TTConv3d(2, 5, (3, 2, 1), (1, 2, 3, 4), stride=(2, 1, 3), padding=(1, 1, 0))
    model = prepared(layer, nn.BatchNorm3d(5), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 2 * 5 * 2, 3))
    assert names(model) == ["0.in", "0.d", "0.h", "0.w", "0.out", "4"]
    windows = [(s.window.kernel, s.window.stride, s.window.padding[:2]) for s in list(model.stages)[:5]]
    none = ((0, 0), (0, 0))
    assert windows == [
        ((1, 1, 1), (1, 1, 1), none),
        ((3, 1, 1), (2, 1, 1), ((1, 1), (0, 0))),
        ((1, 2, 1), (1, 1, 1), ((0, 0), (1, 1))),
        ((1, 1, 1), (1, 1, 3), none),
        ((1, 1, 1), (1, 1, 1), none),
    ]
    assert [s.batch_norm is not None for s in list(model.stages)] == [False] * 4 + [True, False]
    assert [s.relu for s in list(model.stages)] == [False] * 4 + [True, False]
    assert [s.output_quantizer.bits for s in list(model.stages)] == [8] * 5 + [16]
    assert [(g.before, g.after) for g in model.gauges] == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_same_padding_of_even_kernels_is_a_pair() -> None:
    model = prepared(nn.Conv3d(2, 2, (2, 3, 4), padding="same"), *HEAD)
    assert contraction(model, "0").window.padding == ((0, 1), (1, 1), (1, 2))


def test_linear_after_flatten_reads_the_whole_map() -> None:
    head = nn.Linear(2 * 4 * 4 * 4, 3)
    stage = contraction(prepared(nn.Flatten(), head), "1")
    assert stage.window.kernel == (4, 4, 4) and stage.in_shape == (4, 4, 4, 2)
    assert torch.equal(stage.weight.detach().flatten(1), head.weight.detach())


def test_tt_linear_is_one_contraction_a_core_over_the_middle_of_the_channels() -> None:
    model = prepared(nn.Flatten(), TTLinear((2, 3, 4), (2, 2, 2), (2, 2)), nn.Linear(8, 2), shape=(24, 1, 1, 1))
    assert names(model) == ["1.core2", "1.core1", "1.core0", "2"]
    stages = [contraction(model, name) for name in names(model)]
    assert [(s.lead, s.weight.shape[1], s.weight.shape[0], s.trail) for s in stages] == [
        (6, 4, 4, 1),
        (2, 6, 4, 2),
        (1, 4, 2, 4),
        (1, 8, 2, 1),
    ]
    assert [s.out_shape for s in stages] == [(1, 1, 1, 24), (1, 1, 1, 16), (1, 1, 1, 8), (1, 1, 1, 2)]
    assert [s.output_quantizer.bits for s in stages] == [8, 8, 8, 16]


def test_a_path_of_tt_linear_merges_cores() -> None:
    layer = TTLinear((2, 3, 4), (2, 2, 2), (2, 2), path="0 1-2")
    model = prepared(nn.Flatten(), layer, nn.Linear(8, 2), shape=(24, 1, 1, 1))
    assert names(model) == ["1.core0", "1.core1_2", "2"]
    assert contraction(model, "1.core1_2").weight.shape == (4, 24, 1, 1, 1)


def test_batch_norm_and_bias_of_a_tt_linear_have_a_row_for_every_output() -> None:
    layer = TTLinear((2, 2), (2, 3), 2, bias=True)
    model = prepared(nn.Flatten(), layer, nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2), shape=(4, 1, 1, 1))
    last = contraction(model, "1.core1")
    assert last.relu and last.batch_norm is not None and last.batch_norm.running_mean.shape == (6,)
    assert last.lead * last.trail > 1


def test_relu_moves_back_over_what_it_commutes_with() -> None:
    conv = nn.Conv3d(2, 2, 3, padding=1)
    model = prepared(
        conv, nn.MaxPool3d(2), nn.ReLU(), nn.AvgPool3d(2), nn.ReLU(), nn.Flatten(), nn.ReLU(), nn.Linear(2, 2)
    )
    assert names(model) == ["0", "1", "3", "7"] and contraction(model, "0").relu


def test_bits_by_place() -> None:
    layers = (TTConv3d(2, 2, 1, 2), nn.Conv3d(2, 2, 1), *HEAD)
    bits = {"weight_bits": 4, "first_weight_bits": 8, "last_weight_bits": 6}
    model = prepared(*layers, **bits, activation_bits=5, intermediate_bits=7, logit_bits=12)
    assert [s.weight_quantizer.bits for s in model.stages] == [8] * 5 + [4, 6]
    assert [s.output_quantizer.bits for s in model.stages] == [7] * 4 + [5, 5, 12]
    assert all(s.output_quantizer.signed for s in model.stages)


def test_bias_before_batch_norm_moves_into_its_statistics() -> None:
    conv, norm = nn.Conv3d(2, 2, 3, padding=1), nn.BatchNorm3d(2, eps=1e-3, momentum=0.3)
    nn.init.normal_(norm.running_mean)
    mean = norm.running_mean.clone()
    stage = contraction(prepared(conv, norm, *HEAD), "0")
    assert stage.bias is None and stage.batch_norm is not None
    assert torch.equal(stage.batch_norm.running_mean, mean - conv.bias.detach())
    assert (stage.batch_norm.eps, stage.batch_norm.momentum) == (1e-3, 0.3)
    assert torch.equal(norm.running_mean, mean)


def test_logits_may_be_pooled_after_the_last_contraction() -> None:
    model = prepared(nn.Conv3d(2, 5, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), logit_bits=10)
    assert names(model) == ["0", "1"] and model.output_format.bits == 10

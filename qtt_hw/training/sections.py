"""The sections of a training configuration, each validated by itself."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from qtt_hw.codebook import MAX_CODE_BITS
from qtt_hw.data import Augmentation, Splits, load
from qtt_hw.data.options import Option
from qtt_hw.data.sources import own_validation
from qtt_hw.errors import short
from qtt_hw.fixedpoint import Format
from qtt_hw.graph import InputSpec
from qtt_hw.graph.preprocess import check_values, input_spec
from qtt_hw.options import BITS, EPOCHS, SEEDS, WeightScales
from qtt_hw.quant import QuantConfig
from qtt_hw.quant.config import Bits, LayerBits, LogitBits, Switch
from qtt_hw.training.schedule import Kind, Schedule

__all__ = [
    "AugmentConfig",
    "CompressSection",
    "DataConfig",
    "ModelConfig",
    "Optimisation",
    "OrientationConfig",
    "QuantSection",
    "Section",
    "Seed",
    "TeacherConfig",
    "TrainConfig",
]


#: Of generators of random numbers, and what one adds to it.
Seed = Annotated[int, Field(ge=SEEDS[0], lt=SEEDS[1] + 1)]
Rank = Annotated[int, Field(ge=1, le=1 << 16)]
#: Of a learning rate, a decay, a penalty: what is larger can only be an error.
MOST_RATE = 1000
LearningRate = Annotated[float, Field(gt=0, le=MOST_RATE)]
Rate = Annotated[float, Field(ge=0, le=MOST_RATE)]
#: Voxels.
Shift = Annotated[int, Field(ge=0, le=1 << 16)]
Epochs = Annotated[int, Field(ge=EPOCHS[0], le=EPOCHS[1])]
#: Numbers of samples, batches or steps.
Count = Annotated[int, Field(ge=1, le=1 << 31)]
#: Greatest factor of the penalty that learning-compression may end with.
MOST_MU = 1e12
#: Greatest size of a number among a network's own arguments.
MOST_ARGUMENT = 1 << 53


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _check_arguments(value: Any) -> None:
    """Raise ValueError where a network's argument is nothing that a record can hold, or a number without a use."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_arguments(item)
    elif isinstance(value, int | float):  # and so bool
        if not -MOST_ARGUMENT <= value <= MOST_ARGUMENT:
            raise ValueError(f"numbers must be finite and at most 2**53, got {short(value)}")
    elif not isinstance(value, str):
        raise ValueError(f"must be numbers, text, true, false, or tables and lists of them, got {value!r}")


class ModelConfig(Section):
    """The network: a zoo name, or `file.py:Net` relative to the configuration's folder, and its arguments.

    `ranks` gives TT-ranks by layer name: a TTConv3d is built anew with them, a Conv3d is replaced by its TT-SVD.
    `paths` gives the order of contraction by layer name, of a QTTConv3d or TTLinear: "0 1-2", "2 1 0" or "best", and
    may put its modes into another order: "0 1-2 of 4,2 to 2,4". Where a layer's path is left to the planner, so is the
    order of its modes with `mode_order = "free"`. `weights` is a file, relative to the configuration's folder, of
    weights that the network begins with: before any layer is replaced for its `ranks`. `mean` and `std`, by channel or
    one for all, are of images as bytes / 255: the network then reads (x / 255 - mean) / std, as it was trained to.
    """

    name: str = Field(min_length=1)
    args: dict[str, Any] = Field(default_factory=dict)
    ranks: dict[str, tuple[Rank, ...]] = Field(default_factory=dict)
    paths: dict[str, str] = Field(default_factory=dict)
    mode_order: Literal["given", "free"] = "given"
    weights: str | None = Field(default=None, min_length=1)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _normalised(self) -> Self:
        if bool(self.mean) != bool(self.std):
            raise ValueError("mean and std come together")
        return self

    @field_validator("args")
    @classmethod
    def _plain(cls, value: dict[str, Any]) -> dict[str, Any]:
        _check_arguments(value)
        return value


class AugmentConfig(Section):
    """Random changes of the training volumes; axes are D, H, W."""

    flips: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shifts: tuple[Shift, Shift, Shift] = (0, 0, 0)
    rotation: Literal["D", "H", "W"] | None = None
    turns: Literal[4, 12] = Field(default=4, description="of a whole rotation; 12 about W only")
    scales: tuple[float, float, float] = Field(default=(0.0, 0.0, 0.0), description="change of size, as a share")

    @model_validator(mode="after")
    def _valid(self) -> AugmentConfig:
        self.augmentation()
        return self

    def augmentation(self) -> Augmentation:
        return Augmentation(self.flips, self.shifts, self.rotation, self.turns, self.scales)


class DataConfig(Section):
    """How samples become the input edge, which of them decide, and how they vary.

    `format` is `voxels` (unsigned 1 bit), `signed-voxels` ({-1, +1}, around which padding is 0: QTTNet's own),
    `images` (x - 128, signed 8 bits, frac 7), or by its own bits; `auto` is voxels where no training value exceeds 1.
    `options` go to the data source: see `qtt_hw.data.options`. `validation` is the share of every class that is held
    out, or a number of samples, or "official", which demands the source's own validation samples; left out, these are
    taken where there are some, else what is usual is held out.
    """

    block: int = Field(default=1, ge=1, le=16)
    format: Literal["auto", "voxels", "signed-voxels", "images", "custom"] = "auto"
    bits: int | None = Field(default=None, ge=1, le=16)
    signed: bool = False
    frac: int = Field(default=0, ge=-64, le=64)
    offset: int = Field(default=0, ge=0, le=255)
    validation: float | int | Literal["official"] = 0.1
    seed: Seed = 0
    options: dict[str, Option] = Field(default_factory=dict)
    augmentation: AugmentConfig = AugmentConfig()

    @field_validator("validation", mode="before")
    @classmethod
    def _share_or_number(cls, value: Any) -> Any:
        number = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        share = isinstance(value, float) and 0 < value < 1
        if not (number and value < 1 << 31) and not share and value != "official":
            what = "must be a share above 0 and below 1, or a number of samples"
            raise ValueError(f'{what}, got {short(repr(value), 40)}; or "official"')
        return value

    @model_validator(mode="after")
    def _one_format(self) -> DataConfig:
        for name in ("bits", "signed", "frac", "offset"):
            if getattr(self, name) != type(self).model_fields[name].default and self.format != "custom":
                raise ValueError(f'{name} is only read with format = "custom"')
        if self.format == "custom" and self.bits is None:
            raise ValueError('format = "custom" needs bits')
        for name in ("source", "validation", "test", "seed"):
            if name in self.options:
                raise ValueError(f"{name} is no option of a data source")
        return self

    def load(self, source: str | Path) -> Splits:
        """The data set, split by this section's share and seed."""
        validation = self.validation if "validation" in self.model_fields_set else None
        return load(source, validation=validation, seed=self.seed, **self.options)  # type: ignore[arg-type]

    def resolved(self, source: Splits | str | Path) -> DataConfig:
        """This section with what it leaves to the source filled in: what a run's records say."""
        if "validation" in self.model_fields_set:
            return self
        own = source.validation_from if isinstance(source, Splits) else own_validation(source)
        return self.model_copy(update={"validation": own})

    def input_spec(self, splits: Splits) -> InputSpec:
        """How the set's raw samples become the input edge.

        Raises
        ------
        ValueError
            One line that names the split whose values do not fit the format.
        """
        spec = self._spec(splits)
        for part in ("train", "validation"):  # training does not touch test samples
            try:
                check_values(spec, splits[part].x)
            except ValueError as error:
                raise ValueError(f"{splits.name}: {part}: {error}; set another format in [data]") from None
        return spec

    def _spec(self, splits: Splits) -> InputSpec:
        kind = self.format
        if kind == "auto":
            kind = "voxels" if int(splits.train.x.max()) <= 1 else "images"
        if kind == "voxels":
            return input_spec(splits.train.sample_shape, self.block)
        if kind == "signed-voxels":
            return input_spec(splits.train.sample_shape, self.block, 1, Format(2, True, 0), gain=2)
        if kind == "images":
            return input_spec(splits.train.sample_shape, self.block, 128, Format(8, True, 7))
        assert self.bits is not None
        return input_spec(splits.train.sample_shape, self.block, self.offset, Format(self.bits, self.signed, self.frac))


class Optimisation(Section):
    """One phase's optimisation: learning rate from warm-up over its schedule, weight decay on matrices only."""

    epochs: Epochs
    batch: int = Field(default=32, ge=1, le=1 << 20)
    lr: LearningRate
    optimizer: Literal["adamw", "sgd"] = "adamw"
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = Field(default=True, description="of sgd")
    weight_decay: Rate = 0.0
    schedule: Kind = "one-cycle"
    warmup: float = Field(default=0.15, ge=0, lt=1, description="share of the steps that the learning rate rises over")
    drops: tuple[float, ...] = Field(default=(), description='shares of the steps at which it falls: "steps"')
    drop: float = Field(default=0.1, gt=0, lt=1, description='what is left of it then: "steps"')
    cycles: float = Field(default=4.0, gt=0, le=1e6, description='"exp-range"')
    base: float = Field(default=0.1, ge=0, lt=1, description='share of the largest that a cycle begins at: "exp-range"')
    fade: float = Field(default=0.1, gt=0, le=1, description='share of the range that is left in the end: "exp-range"')
    clip: float | None = Field(default=None, gt=0, le=1e12, description="largest gradient norm")
    ema: float = Field(default=0.0, ge=0, lt=1, description="decay of the weights' moving average; 0 is none")
    select: Literal["last", "best"] = "last"
    penalty: Literal["l1", "l2"] | None = Field(default=None, description="on the weights, quantised where they are")
    penalty_weight: Rate = Field(default=0.0, description="times sum |w|, or sum w^2 / 2")

    @property
    def rates(self) -> Schedule:
        """The learning rate over the phase."""
        return Schedule(self.schedule, self.warmup, self.drops, self.drop, self.cycles, self.base, self.fade)

    @model_validator(mode="after")
    def _whole_penalty(self) -> Self:
        if (self.penalty is None) != (self.penalty_weight == 0.0):
            raise ValueError("penalty and a penalty_weight above 0 come together")
        return self

    @model_validator(mode="after")
    def _drops_in_order(self) -> Self:
        if list(self.drops) != sorted(set(self.drops)) or any(not 0 < share < 1 for share in self.drops):
            raise ValueError(f"drops must rise between 0 and 1, got {list(self.drops)}")
        if bool(self.drops) != (self.schedule == "steps"):
            raise ValueError('drops and schedule = "steps" come together')
        return self


class TrainConfig(Optimisation):
    """Float training, and what all phases share.

    `threads` is how many of them torch computes with, its own choice when left out. A result depends on it in the
    last bits, so a resumed run keeps what it began with. Small networks are fastest with 1.

    `autocast` computes the layers of the teachers, of the float network and of one with quantised weights and float
    activations in bfloat16, forward and backward; parameters, losses, the optimizer and every evaluation stay in
    float32, as does all of a quantised phase with quantised activations.

    `graphs` runs the passes of the teachers, of the float and of the fine-tuned network as CUDA graphs, for small
    networks, which else wait for launches. It does nothing on the CPU or with several processes.
    """

    epochs: Epochs = 20
    lr: LearningRate = 3e-3
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    balance: float = Field(default=0.0, ge=0, le=10, description="1 trains as if all classes were equally frequent")
    seed: Seed = 0
    checkpoint_steps: Count = 200
    threads: int | None = Field(default=None, ge=1, le=1024)
    autocast: bool = False
    graphs: bool = False


class OrientationConfig(Section):
    """A second classifier while training in float, which tells by how much a sample was turned: needs `rotation`.

    It reads what the named layer reads, and is no part of the network that is kept. A flip in the plane of rotation
    would change what it is to tell.
    """

    layer: str = Field(default="head", min_length=1)
    weight: float = Field(default=0.3, gt=0, le=100, description="times its cross-entropy, added to the loss")


class TeacherConfig(Optimisation):
    """Distillation: from dense models trained first, or from finished runs.

    `dense = true` trains `count` models of the zoo network with every TT layer dense; `run` reads a run's float model,
    or those of several. The student learns from the mean of their probabilities.
    """

    dense: bool = False
    run: str | tuple[str, ...] | None = None
    count: int = Field(default=1, ge=1, le=16)
    epochs: Epochs = 20
    lr: LearningRate = 3e-3
    temperature: float = Field(default=3.0, ge=1e-3, le=1e3)
    weight: float = Field(default=0.7, ge=0, le=1, description="share of the loss that the teacher decides")

    @model_validator(mode="after")
    def _one_teacher(self) -> TeacherConfig:
        if self.dense == (self.run is not None):
            raise ValueError("set either dense = true or run")
        if self.run == ():
            raise ValueError("run: names no run")
        return self

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs whose float models teach."""
        return (self.run,) if isinstance(self.run, str) else self.run or ()


class QuantSection(Optimisation):
    """Bit widths and quantisation-aware training after calibration.

    Scales learn until `freeze_scales` of the steps; until then inq takes its portions, evenly spaced from the first
    step on. At `freeze_statistics` the batch-norm statistics are re-estimated over `reestimate` batches, frozen, and
    training goes on through the folded integers; float activations have none of that. `layers` gives some layers other
    bits, by name: `[quant.layers]`, `"features.3" = { weight_bits = 3 }`.
    """

    weight_bits: Bits = 4
    activation_bits: Bits = 8
    intermediate_bits: Bits = 8
    first_weight_bits: Bits | None = None
    last_weight_bits: Bits | None = None
    logit_bits: LogitBits = 16
    layers: dict[str, LayerBits] = Field(default_factory=dict)
    tt_form: Literal["streamed", "merged"] = "streamed"
    scales: Literal["learned", "fixed"] = "learned"
    weight_scales: WeightScales = "tensor"
    codebook: Literal["dqc", "sqc", "inq", "kmeans"] | None = None
    zero: Switch = False
    gradient: Literal["scaled", "straight"] = "scaled"
    activations: Literal["quantized", "float"] = "quantized"
    portions: tuple[float, ...] = Field(default=(0.5, 0.75, 0.875), description="of inq; the rest at freeze_scales")
    epochs: Epochs = 6
    lr: LearningRate = 3e-4
    scale_lr: Rate = 1e-2
    freeze_scales: float = Field(default=0.5, ge=0, lt=1)
    freeze_statistics: float = Field(default=0.75, ge=0, lt=1)
    calibration: Count = Field(default=8, description="batches of training data")
    reestimate: Count = Field(default=20, description="batches of training data")

    @model_validator(mode="after")
    def _order(self) -> QuantSection:
        if self.freeze_scales > self.freeze_statistics:
            raise ValueError("freeze_scales must not come after freeze_statistics")
        if list(self.portions) != sorted(set(self.portions)) or not all(0 < p < 1 for p in self.portions):
            raise ValueError("portions must rise between 0 and 1")
        _ = self.quantisation  # its own checks
        return self

    @property
    def quantisation(self) -> QuantConfig:
        """What is quantised how; the rest of this section is how it is trained."""
        return QuantConfig(**{name: getattr(self, name) for name in QuantConfig.model_fields})


class CompressSection(Optimisation):
    """Learning-compression of the float network, whose own phase may have no epochs.

    `epochs` are shared by `pairs` L steps, a C step behind each. With given ranks L steps may be parts of an epoch: the
    targets of the quadratic penalty then follow a network that is still far from trained. `form` says what weights
    become: tensor trains, Tucker-2, codes of `bits` bits, or trains with coded cores. At the first C step `ranking`
    selects ranks: `evbmf`; `bayes`, with the trains' inner ranks optimised; `published`, with the Tucker ranks too. Or
    they are given, by layer name, as `ranks` and `tucker`; those of an end that a layer has not are ignored. `layers`
    are all convolutions but the first unless named; named, linear layers too, as two of a rank between them.
    """

    epochs: Epochs = Field(default=12, ge=1)
    lr: LearningRate = 3e-3
    pairs: int = Field(default=6, ge=1, le=1 << 20)
    mu: float = Field(default=1e-3, gt=0, le=MOST_MU)
    growth: float = Field(default=2.0, ge=1, le=1000)
    method: Literal["augmented", "penalty"] = "augmented"
    form: Literal["train", "tucker", "codes", "both"] = "train"
    bits: int | None = Field(default=None, ge=BITS[0], le=BITS[1])
    codebook: Literal["dqc", "kmeans"] | None = None
    zero: bool = False
    layers: tuple[str, ...] = ()
    ranking: Literal["evbmf", "bayes", "published"] = "evbmf"
    factor: float = Field(default=1.0, ge=0, le=1, description="weakens EVBMF's ranks; 1 keeps them")
    ranks: dict[str, tuple[Rank, ...]] = Field(default_factory=dict)
    tucker: dict[str, tuple[Rank, Rank]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.bits is not None) != (self.form in ("codes", "both")):
            raise ValueError('bits are given with form = "codes" or "both", and only then')
        if self.bits is None and (self.codebook is not None or self.zero):
            raise ValueError('codebook and zero are of codes, which form = "codes" and "both" have, with bits')
        if self.bits is not None:
            if self.codebook == "dqc" and self.bits > MAX_CODE_BITS:
                raise ValueError(f'bits must be 2 to {MAX_CODE_BITS} with codebook = "dqc", got {self.bits}')
            QuantConfig(weight_bits=self.bits, codebook=self.codebook, zero=self.zero)  # its own checks
        if self.ranks and self.form in ("tucker", "codes"):
            raise ValueError(f'ranks are those of tensor trains, not of form = "{self.form}"')
        if self.tucker and self.form == "codes":
            raise ValueError('tucker ranks are not for form = "codes"')
        if math.log(self.mu) + (self.pairs - 1) * math.log(self.growth) > math.log(MOST_MU):
            raise ValueError(f"mu * growth**(pairs - 1) is more than {MOST_MU:g}: use a lower growth, or fewer pairs")
        return self

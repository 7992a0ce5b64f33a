from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qtt_hw.data import Samples, Splits
from qtt_hw.fixedpoint import Format
from qtt_hw.training.config import config_from, load_config

MINIMAL = '[model]\nname = "voxtt"\n'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "c.toml"
    path.write_text(text)
    return path


def test_minimal_and_round_trip(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL + "[quant]\nweight_bits = 3\n[teacher]\ndense = true\n"))
    assert config.name == "c" and config.folder == tmp_path
    assert config.quant is not None and config.quant.quantisation.weight_bits == 3
    again = config_from(config.model_dump(mode="json"), "dump", config.source)
    assert again == config
    assert config.with_seed(3).train.seed == 3 and config.with_seed(3).model == config.model


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "model: Field required"),
        ("[model]\n", "model.name: Field required"),
        (MINIMAL + "[training]\n", "training: is not known; did you mean train?"),
        (MINIMAL + "[train]\nepoch = 3\n", "train.epoch: is not known; did you mean epochs?"),
        (MINIMAL + "[train]\nlr = -1.0\n", "train.lr: Input should be greater than 0, got -1.0"),
        (MINIMAL + '[train]\noptimizer = "adam"\n', "train.optimizer: Input should be 'adamw' or 'sgd', got 'adam'"),
        (MINIMAL + "[quant]\nweight_bits = 9\n", "quant.weight_bits: Input should be less than or equal to 8, got 9"),
        (MINIMAL + "[quant]\nweight_bits = 1\n", "quant.weight_bits: Input should be greater than or equal to 2"),
        (MINIMAL + "[quant]\nlogit_bits = 17\n", "quant.logit_bits: Input should be less than or equal to 16"),
        (MINIMAL + "[quant]\nfreeze_scales = 0.9\n", "quant: freeze_scales must not come after freeze_statistics"),
        (MINIMAL + "[teacher]\n", "teacher: set either dense = true or run"),
        (MINIMAL + '[teacher]\ndense = true\nrun = "r"\n', "teacher: set either dense = true or run"),
        (MINIMAL + "[data]\nbits = 3\n", 'data: bits is only read with format = "custom"'),
        (MINIMAL + '[data]\nformat = "custom"\n', 'data: format = "custom" needs bits'),
        (MINIMAL + "[data.augmentation]\nflips = [0, 2, 0]\n", "data.augmentation: flips must be probabilities"),
        (MINIMAL + "[data.augmentation]\nflips = [0, 1]\n", r"data.augmentation.flips.2: Field required"),
        (MINIMAL + "[data.augmentation]\nturns = 12\n", 'data.augmentation: turns = 12 needs rotation = "W"'),
        (MINIMAL + "[data.augmentation]\nscales = [0, 1.5, 0]\n", "data.augmentation: scales must be shares below 1"),
        (MINIMAL + "[orientation]\n", "data.augmentation has no rotation"),
        (
            MINIMAL + '[data.augmentation]\nrotation = "W"\nflips = [0, 0.5, 0]\n[orientation]\n',
            "orientation: a flip in the plane of rotation changes it; set its flips to 0",
        ),
        (MINIMAL + "[teacher]\nrun = []\n", "teacher: run: names no run"),
        (MINIMAL + "[data.options]\nseed = 1\n", "data: seed is no option of a data source"),
        (MINIMAL + "[data]\nvalidation = 1.0\n", "data.validation: must be a share above 0 and below 1, or a number"),
        (MINIMAL + "[data]\nvalidation = 0\n", "data.validation: must be a share above 0 and below 1, or a number"),
        (MINIMAL + "[data]\nvalidation = true\n", "a number of samples, got True"),
        ('source = "x"\n' + MINIMAL, "source: is not known"),
        (MINIMAL + "[train]\nweight_bits = 3\n", "train.weight_bits: is not known; did you mean quant.weight_bits?"),
        (MINIMAL + "seed = 3\n", "model.seed: is not known; did you mean data.seed or train.seed?"),
        (MINIMAL + '[quant]\ncodebook = "dcq"\n', "'kmeans', got 'dcq'; did you mean dqc?"),
        (
            MINIMAL + "[train]\nepoch = 3\nlr = -1\n[dta]\n",
            "0, got -1; train.epoch: is not known; did you mean epochs?; dta: is not known; did you mean data?",
        ),
        ("[model\n", "Expected ']'"),
        ("[model]\nname = 1\nname = 2\n", "not TOML: Cannot overwrite a value"),
        (MINIMAL + "[train]\nlr = 1e300\n", "train.lr: Input should be less than or equal to 1000, got 1e+300"),
        (MINIMAL + "[train]\nlr = inf\n", "train.lr: Input should be"),
        (MINIMAL + "[train]\nlr = nan\n", "train.lr: Input should be"),
        (MINIMAL + "[train]\nthreads = 1000000000\n", "train.threads: Input should be less than or equal to 1024"),
        (MINIMAL + "[train]\nseed = -1\n", "train.seed: Input should be greater than or equal to 0"),
        (MINIMAL + "[data]\nseed = -1\n", "data.seed: Input should be greater than or equal to 0"),
        (MINIMAL + "[train]\nbatch = 10000000000\n", "train.batch: Input should be less than or equal to 1048576"),
        (MINIMAL + "[data]\nvalidation = 10000000000\n", "data.validation: must be a share above 0 and below 1"),
        (MINIMAL + "[data]\nvalidation = nan\n", "data.validation: must be a share above 0 and below 1"),
        (MINIMAL + "[data.augmentation]\nflips = [0, 0, nan]\n", "data.augmentation.flips.2: Input should be a finite"),
        (
            MINIMAL + "[data.augmentation]\nshifts = [0, 0, 1000000]\n",
            "data.augmentation.shifts.2: Input should be less",
        ),
        (MINIMAL + "[quant]\nportions = [0.5, inf]\n", "quant.portions.1: Input should be a finite number"),
        (MINIMAL + "[compress]\npairs = 1000\ngrowth = 10\n", "compress: mu * growth**(pairs - 1) is more than 1e+12"),
        (MINIMAL + "ranks = { a = [0] }\n", "model.ranks.a.0: Input should be greater than or equal to 1, got 0"),
        (MINIMAL + "args = { scale = inf }\n", "model.args: numbers must be finite and at most 2**53, got inf"),
        (MINIMAL + "args = { a = [{ b = 1e300 }] }\n", "model.args: numbers must be finite and at most 2**53"),
        (MINIMAL + "args = { day = 1979-05-27 }\n", "model.args: must be numbers, text, true, false, or tables"),
        (MINIMAL + f"args = {{ a = {'[' * 100}{']' * 100} }}\n", "is nested more than 64 deep"),
    ],
)
def test_errors_are_one_line_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match="(?s).*") as error:
        load_config(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    assert message in str(error.value)


def test_validation_is_a_share_or_a_number_or_the_sources_own(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, size=(60, 4, 4), dtype=np.uint8)
    y = (np.arange(60) % 3).astype(np.uint8)
    for part in ("train", "t10k"):
        for name, array in (("images-idx3", x), ("labels-idx1", y)):
            header = np.array([0x800 + array.ndim, *array.shape], dtype=">u4")
            (tmp_path / f"{part}-{name}-ubyte").write_bytes(header.tobytes() + array.tobytes())
    for text, held in (("0.2", 12), ("9", 9)):
        config = load_config(write(tmp_path, f"{MINIMAL}[data]\nvalidation = {text}\n"))
        assert len(config.data.load(tmp_path).validation) == held
        assert config.with_data(tmp_path) == config
    config = load_config(write(tmp_path, MINIMAL))
    with pytest.raises(ValueError, match="a number of the 60 samples, got 5000"):
        config.data.load(tmp_path)
    # What the source decides stands in the records; a tenth, which other sources have, always did.
    assert config.with_data(tmp_path).data.validation == 5000
    assert config.with_data("solids") == config
    again = config_from(config.with_data(tmp_path).model_dump(mode="json"), "dump", config.source)
    assert again.with_data("solids").data.validation == 5000 and type(again.data.validation) is int


def test_missing_and_binary_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none.toml: No such file"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"c.toml: not a text file"):
        load_config(tmp_path / "c.toml")


def splits(largest: int) -> Splits:
    x = np.zeros((4, 3, 4, 4, 1), np.uint8)
    x[0, 0, 0, 0, 0] = largest
    s = Samples(x, np.arange(4, dtype=np.int64))
    return Splits(s, s, s, tuple("abcd"), "t")


def test_a_base_gives_what_is_not_said(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(MINIMAL + "[train]\nepochs = 7\nlr = 0.5\n[quant]\nweight_bits = 3\n")
    config = load_config(write(tmp_path, 'base = "base.toml"\n[train]\nlr = 0.25\n'))
    assert (config.train.epochs, config.train.lr) == (7, 0.25)
    assert config.quant is not None and config.quant.weight_bits == 3 and config.name == "c"
    (tmp_path / "base.toml").write_text('base = "c.toml"\n')
    with pytest.raises(ValueError, match=r"base.toml: base: c.toml leads back to this file"):
        load_config(tmp_path / "c.toml")
    for text, message in (("base = 3", "expected the name of a file, got 3"), ('base = "none.toml"', "No such file")):
        with pytest.raises(ValueError, match=message):
            load_config(write(tmp_path, text))


def test_a_chain_of_bases_has_an_end(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.toml").write_text(f'base = "{number + 1}.toml"\n')
    (tmp_path / "30.toml").write_text(MINIMAL)
    assert load_config(tmp_path / "15.toml").model.name == "voxtt"
    with pytest.raises(ValueError, match=r"16\.toml: base: more than 16 files, each the base of another$"):
        load_config(tmp_path / "0.toml")


def test_input_formats(tmp_path: Path) -> None:
    def spec(text: str, largest: int = 1):  # noqa: ANN202
        return load_config(write(tmp_path, MINIMAL + "[data]\nblock = 2\n" + text)).data.input_spec(splits(largest))

    assert spec("").edge.format == Format(1, False, 0) and spec("").edge.shape == (2, 2, 2, 8)
    assert spec("", 255).edge.format == Format(8, True, 7) and spec("", 255).offset == 128
    assert spec('format = "images"').offset == 128
    signed = spec('format = "signed-voxels"')
    assert signed.edge.format == Format(2, True, 0) and (signed.gain, signed.offset) == (2, 1)
    custom = spec('format = "custom"\nbits = 4\nsigned = true\nfrac = 3\noffset = 5')
    assert custom.edge.format == Format(4, True, 3) and custom.offset == 5


def test_values_that_do_not_fit_the_format_are_refused(tmp_path: Path) -> None:
    data = load_config(write(tmp_path, MINIMAL + '[data]\nformat = "voxels"\n')).data
    with pytest.raises(ValueError, match="t: train: raw samples minus offset 0 span 0 to 255.* set another format"):
        data.input_spec(splits(255))
    mixed = replace(splits(1), validation=splits(255).train)
    with pytest.raises(ValueError, match="t: validation: raw samples minus offset 0 span 0 to 255"):
        load_config(write(tmp_path, MINIMAL)).data.input_spec(mixed)


def test_official_validation_samples_stand_in_the_records(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).integers(0, 2, (60, 4, 4, 4), dtype=np.uint8), np.arange(60) % 3
    np.savez(tmp_path / "own.npz", x=x, y=y, x_val=x[:9], y_val=y[:9])
    np.savez(tmp_path / "plain.npz", x=x, y=y)
    config = load_config(write(tmp_path, MINIMAL))
    found = config.data.load(tmp_path / "own.npz")
    assert (
        config.with_data(found).data.validation == "official" == config.with_data(tmp_path / "own.npz").data.validation
    )
    again = config_from(config.with_data(found).model_dump(mode="json"), "dump", config.source)
    assert again.data.load(tmp_path / "own.npz").validation.digest == found.validation.digest
    assert config.with_data(config.data.load(tmp_path / "plain.npz")).data.validation == 0.1
    share = load_config(write(tmp_path, MINIMAL + "[data]\nvalidation = 0.2\n"))
    with pytest.raises(ValueError, match="has its own validation samples: leave validation = 0.2 out"):
        share.data.load(tmp_path / "own.npz")
    with pytest.raises(ValueError, match=r"plain.npz: has no validation samples of its own"):
        again.data.load(tmp_path / "plain.npz")


def test_options_reach_the_source_as_they_are(tmp_path: Path) -> None:
    text = '[data.options]\nedge = 8\nflow = true\nflow_scale = 2.0\nsampling = "spread"\n'
    config = load_config(write(tmp_path, MINIMAL + text))
    again = config_from(config.model_dump(mode="json"), "dump", config.source)
    for options in (config.data.options, again.data.options):
        assert [type(value) for value in options.values()] == [int, bool, float, str]
    config = load_config(
        write(tmp_path, MINIMAL + "[data]\nvalidation = 0.2\noptions = { edge = 8, per_class = 20 }\n")
    )
    splits = config.data.load("solids")
    assert splits.train.sample_shape == (8, 8, 8, 1) and len(splits.validation) == 24
    with pytest.raises(ValueError, match="solids: flow: is not known; known are edge, classes, per_class"):
        config_from({"model": {"name": "voxtt"}, "data": {"options": {"flow": True}}}, "c").data.load("solids")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('schedule = "steps"', 'drops and schedule = "steps" come together'),
        ("drops = [0.5]", 'drops and schedule = "steps" come together'),
        ('schedule = "steps"\ndrops = [0.7, 0.5]', r"drops must rise between 0 and 1, got \[0.7, 0.5\]"),
    ],
)
def test_steps_need_drops(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_config(write(tmp_path, MINIMAL + f"[train]\n{text}\n"))

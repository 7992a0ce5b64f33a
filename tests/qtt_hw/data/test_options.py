import pytest

from qtt_hw.data.options import ArrayOptions, MeshOptions, VideoOptions, parse_options, require


def test_defaults_are_the_published_sizes() -> None:
    mesh, video = parse_options(MeshOptions, {}, "m"), parse_options(VideoOptions, {}, "v")
    assert (mesh.edge, mesh.padding, mesh.rotations) == (30, 3, 1)
    assert (video.frames, video.height, video.width, video.flow, video.fold) == (50, 30, 40, False, None)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"egde": 3}, "data: egde: is not known; did you mean edge?"),
        ({"edge": "30"}, "data: edge: Input should be a valid integer, got '30'"),
        (
            {"edge": 3, "egde": 3},
            "data: edge: Input should be greater than or equal to 4, got 3; egde: is not known; did you mean edge?",
        ),
        ({"colour": 3}, "data: colour: is not known; known are edge, padding, fill, rotations, corrupt"),
        ({"edge": True}, "data: edge: Input should be a valid integer, got True"),
        ({"edge": 3}, "data: edge: Input should be greater than or equal to 4, got 3"),
        ({"rotations": 6}, "data: rotations: Input should be 1 or 12, got 6"),
        ({"fill": "all"}, "data: fill: Input should be 'orthographic', 'holes' or 'none', got 'all'"),
    ],
)
def test_refuses_in_one_line(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match="(?s).*") as error:
        parse_options(MeshOptions, options, "data")
    assert str(error.value) == message


def test_a_package_that_is_not_there() -> None:
    assert require("math", "counting").pi > 3
    with pytest.raises(ValueError, match=r"^reading x needs no_such_package: pip install 'qtt-hw\[data\]'$"):
        require("no_such_package.io", "reading x")


def test_sizes_are_bounded() -> None:
    for options in ({"frames": 10**9}, {"height": 10**6}, {"clips_per_video": 10**6}):
        with pytest.raises(ValueError, match="Input should be less than or equal to"):
            parse_options(VideoOptions, options, "data")


def test_the_only_option_is_named() -> None:
    with pytest.raises(ValueError, match=r"^data: axis: is not known; did you mean axes\?$"):
        parse_options(ArrayOptions, {"axis": "NDHW"}, "data")

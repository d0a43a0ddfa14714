"""Tiles of any image, batches over images, blends without seams, memory that runs out."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenolake.errors import ChannelError, ConfigurationError, DeviceMemoryError

torch = pytest.importorskip("torch")

from phenolake.segmentation.tiling import axis_spans, run_tiled  # noqa: E402


def images(*shapes, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.random((channels, *shape), dtype=np.float32) for shape in shapes]


def double(tiles):
    """A network that looks at one pixel at a time, so that tiles can't matter."""
    return torch.cat((2 * tiles, tiles + 1), dim=1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 70), st.integers(1, 70)), min_size=0, max_size=5),
    st.integers(8, 24),
    st.integers(0, 7),
    st.integers(1, 9),
    st.booleans(),
)
def test_a_pixelwise_network_gives_the_same_with_and_without_tiles(
    shapes, tile, overlap, batch, shrink
):
    planes = images(*shapes)
    tile = tile // 4 * 4
    options = {"tile": tile, "overlap": overlap, "batch": batch, "multiple": 4 if shrink else None}
    outputs = list(run_tiled(planes, double, **options))
    assert len(outputs) == len(planes)
    for plane, output in zip(planes, outputs, strict=True):
        assert output.dtype == torch.float32
        assert np.allclose(output.numpy(), np.concatenate((2 * plane, plane + 1)), rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 500),
    st.integers(1, 8).map(lambda n: 8 * n),
    st.integers(0, 7),
    st.sampled_from([None, 8]),
)
def test_tiles_cover_an_axis_and_overlap_as_asked(length, tile, overlap, multiple):
    spans = axis_spans(length, tile, overlap, multiple)
    assert spans.starts[0] == 0
    assert spans.starts[-1] + spans.size >= length
    assert spans.size <= tile
    if len(spans.starts) > 1:
        assert spans.starts[-1] + spans.size == length
        assert np.all(np.diff(spans.starts) <= spans.size - overlap)
    assert spans.total.shape == (length,)
    assert np.all(spans.total > 0)
    if multiple is None:
        assert spans.size == tile
    else:
        assert spans.size % multiple == 0
        assert spans.size < length + multiple or len(spans.starts) > 1


def test_tiles_shrink_to_what_the_image_needs():
    assert axis_spans(520, 768, 64, 32).size == 544
    assert axis_spans(520, 768, 64, None).size == 768
    assert axis_spans(1000, 768, 64, 32).starts == [0, 456]
    assert axis_spans(1000, 768, 64, 32).size == 544


def test_batches_pool_tiles_of_different_images():
    seen = []

    def network(tiles):
        seen.append(len(tiles))
        return tiles

    planes = images(*[(30, 30)] * 10, (60, 16))
    outputs = list(run_tiled(planes, network, tile=32, overlap=4, batch=4))
    assert seen == [4, 4, 4]
    assert [tuple(o.shape[1:]) for o in outputs] == [p.shape[1:] for p in planes]


def test_images_are_read_when_a_batch_needs_them_and_let_go():
    alive = []
    most = 0

    def source():
        nonlocal most
        for plane in images(*[(16, 16)] * 20):
            image = plane.copy()
            alive.append(weakref.ref(image))
            del plane
            yield image
            del image
            most = max(most, sum(ref() is not None for ref in alive))

    outputs = run_tiled(source(), lambda tiles: tiles, tile=16, overlap=0, batch=3)
    next(outputs)
    assert len(alive) == 3
    assert len(list(outputs)) == 19
    assert most <= 1


def test_a_tile_border_leaves_no_seam():
    # This network errs at the edge of its input, as convolutions do.
    def network(tiles):
        wrong = torch.zeros_like(tiles)
        wrong[..., 0, :] = wrong[..., -1, :] = wrong[..., :, 0] = wrong[..., :, -1] = 1
        return tiles + wrong

    plane = np.zeros((1, 100, 100), np.float32)
    (output,) = run_tiled([plane], network, tile=40, overlap=10, batch=8)
    assert float(output[0, 1:-1, 1:-1].max()) < 0.02
    assert float(output[0, 0].min()) > 0.9  # at the end of the image nothing else is known


def test_small_and_thin_images_are_padded_as_asked():
    for mode, expected in (("constant", 0.0), ("reflect", 5.0)):
        seen = []

        def network(tiles, seen=seen):
            seen.append(tiles)
            return tiles

        (output,) = run_tiled(
            [np.full((1, 1, 3), 5, np.float32)], network, tile=8, overlap=2, batch=2, padding=mode
        )
        assert output.shape == (1, 1, 3)
        assert float(seen[0][0, 0, 7, 7]) == expected


def test_out_of_memory_halves_the_batch_and_goes_on(caplog):
    tried = []

    def network(tiles):
        tried.append(len(tiles))
        if len(tiles) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 2 * tiles

    planes = images(*[(16, 16)] * 20)
    outputs = list(run_tiled(planes, network, tile=16, overlap=0, batch=16))
    assert tried == [16, 8, 4, *[2] * 10]
    assert all(np.allclose(o, 2 * p) for o, p in zip(outputs, planes, strict=True))
    assert "no memory for 16 tiles" in caplog.text


def test_a_tile_too_large_for_the_device_is_one_sentence():
    def network(tiles):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(DeviceMemoryError, match="one tile"):
        list(run_tiled(images((16, 16)), network, tile=16, overlap=0, batch=4))


def test_other_errors_of_the_network_are_not_hidden():
    def network(tiles):
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        list(run_tiled(images((16, 16)), network, tile=16, overlap=0, batch=4))


@pytest.mark.parametrize(
    "options",
    [
        {"tile": 16, "overlap": 16, "batch": 1},
        {"tile": 16, "overlap": -1, "batch": 1},
        {"tile": 16, "overlap": 2, "batch": 0},
        {"tile": 16, "overlap": 2, "batch": 1, "multiple": 12},
    ],
)
def test_impossible_tiles_are_refused(options):
    with pytest.raises(ConfigurationError, match="tiles of 16"):
        list(run_tiled(images((16, 16)), double, **options))


@pytest.mark.parametrize("bad", [np.zeros((8, 8)), np.zeros((1, 0, 8)), np.zeros((3, 8, 8))])
def test_an_image_that_does_not_fit_is_named(bad):
    planes = [np.zeros((2, 8, 8), np.float32), bad]
    with pytest.raises(ChannelError, match="image 1: expected"):
        list(run_tiled(planes, double, tile=8, overlap=0, batch=4))

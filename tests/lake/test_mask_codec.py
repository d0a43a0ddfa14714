"""Label images and illumination functions come back from bytes exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from phenolake.errors import LabelImageError
from phenolake.lake import CODEC, decode_array, decode_labels, encode_array, encode_labels

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=17)
INTEGERS = st.sampled_from(["?", "u1", "i1", "u2", "i2", ">u2", "u4", "i4", "u8", "i8", ">i8"])


@st.composite
def label_images(draw):
    dtype = np.dtype(draw(INTEGERS))
    highest = 1 if dtype.kind == "b" else min(np.iinfo(dtype).max, 2**63 - 1)
    elements = st.booleans() if dtype.kind == "b" else st.integers(0, highest)
    return draw(hnp.arrays(dtype, draw(SHAPES), elements=elements))


@settings(deadline=None, max_examples=150)
@given(label_images())
def test_any_label_image_comes_back_exactly(labels):
    decoded = decode_labels(encode_labels(labels), labels.shape)
    assert decoded.shape == labels.shape
    assert np.array_equal(decoded.astype(np.uint64), labels.astype(np.uint64))
    small = labels.size == 0 or int(labels.max()) <= 2**31 - 1
    assert decoded.dtype == (np.int32 if small else np.int64)


@settings(deadline=None, max_examples=50)
@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(width=32, allow_nan=True)))
def test_any_float32_array_comes_back_bit_for_bit(array):
    decoded = decode_array(encode_array(array), array.shape)
    assert decoded.dtype == np.float32
    assert decoded.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("highest", "width"),
    [(0, 1), (255, 1), (256, 2), (65_535, 2), (65_536, 4), (2**32 - 1, 4), (2**32, 8)],
)
def test_labels_take_the_smallest_width_that_holds_them(highest, width):
    data = encode_labels(np.array([[0, highest]], dtype=np.uint64))
    assert data[0] == width
    assert decode_labels(data, (1, 2)).tolist() == [[0, highest]]


def test_decoded_labels_can_be_changed():
    labels = decode_labels(encode_labels(np.eye(3, dtype=np.uint8)), (3, 3))
    labels[0, 0] = 7
    assert labels[0, 0] == 7


def test_non_contiguous_labels_keep_their_order():
    labels = np.arange(24, dtype=np.int32).reshape(4, 6)
    assert np.array_equal(decode_labels(encode_labels(labels.T[::2]), (3, 4)), labels.T[::2])


def test_masks_pack_well():
    yy, xx = np.mgrid[:540, :540]
    labels = np.where(
        (yy % 60 - 30) ** 2 + (xx % 60 - 30) ** 2 < 500, yy // 60 * 9 + xx // 60 + 1, 0
    )
    assert len(encode_labels(labels)) < labels.size * 2 / 50


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (np.array([[-1, 2]]), "-1 to 2"),
        (np.array([[2**63]], dtype=np.uint64), "2\\*\\*63 - 1"),
        (np.zeros((2, 2, 2), dtype=np.int32), "\\(y, x\\)"),
        (np.zeros((2, 2)), "float64"),
    ],
)
def test_what_is_no_label_image_is_refused_with_the_reason(labels, says):
    with pytest.raises(LabelImageError, match=says):
        encode_labels(labels)


def test_damaged_bytes_are_refused():
    data = encode_labels(np.arange(100, dtype=np.int32).reshape(10, 10))
    for damaged in (b"", b"\x03" + data[1:], data[:-3], data[:1] + b"x" * 20):
        with pytest.raises(LabelImageError):
            decode_labels(damaged, (10, 10))
    for shape in ((10, 11), (9, 10), (0, 10**9)):
        with pytest.raises(LabelImageError):
            decode_labels(data, shape)


def test_an_unknown_codec_is_refused():
    with pytest.raises(LabelImageError, match=CODEC):
        decode_labels(encode_labels(np.zeros((1, 1), int)), (1, 1), "jpeg")

"""The decoder on tensors: the same labels as the compiled one, image by image, on any device."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenolake.errors import ChannelError
from phenolake.segmentation.flow_decoder import labels_from_flows
from phenolake.segmentation.flow_kernels import fill_object_holes
from segmentation.flow_fields import packed_cells, predicted

torch = pytest.importorskip("torch")

from phenolake.segmentation import flow_tensor_objects  # noqa: E402
from phenolake.segmentation.flow_tensors import labels_from_flow_tensors  # noqa: E402


def batch(*fields):
    flows, logits = zip(*fields, strict=True)
    return torch.from_numpy(np.stack(flows)), torch.from_numpy(np.stack(logits))


def test_a_batch_is_decoded_as_its_images_are_one_by_one():
    fields = [
        predicted(packed_cells(90, 4, 1), 1),
        (np.zeros((2, 90, 90), np.float32), np.full((90, 90), -1, np.float32)),
        predicted(packed_cells(90, 16, 2, fill=0.6), 2, noise=0.4),
        predicted(packed_cells(90, 9, 3, fill=0.6), 3, noise=0.45),
    ]
    for check in (0.0, 0.4):
        found = labels_from_flow_tensors(*batch(*fields), flow_threshold=check)
        assert found.dtype == torch.int32
        alone = np.stack([labels_from_flows(*field, flow_threshold=check) for field in fields])
        assert alone.any(axis=(1, 2)).tolist() == [True, False, True, True]
        assert np.array_equal(found.numpy(), alone)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 30),
    st.integers(1, 30),
    st.sampled_from([0.0, 0.9, 2.0]),
)
def test_any_field_is_decoded_alike(seed, rows, columns, check):
    rng = np.random.default_rng(seed)
    flows = rng.normal(0, 1, (2, 2, rows, columns)).astype(np.float32)
    logits = rng.normal(0.5, 1, (2, rows, columns)).astype(np.float32)
    flows[0, 0, 0, 0] = np.nan
    options = {"flow_threshold": check, "smallest": 2, "largest_share": 0.9, "iterations": 15}
    found = labels_from_flow_tensors(torch.from_numpy(flows), torch.from_numpy(logits), **options)
    for image in range(2):
        alone = labels_from_flows(flows[image], logits[image], **options)
        assert np.array_equal(found[image].numpy(), alone)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.integers(1, 6))
def test_holes_are_filled_alike_even_where_objects_nest_and_interlock(seed, rows, columns, count):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, count + 1, (2, rows, columns))
    labels[1][labels[1] > 0] += count
    found = flow_tensor_objects.fill_object_holes(torch.from_numpy(labels), 2 * count)
    for image in range(2):
        alone = fill_object_holes(labels[image].astype(np.int32), 2 * count)
        assert np.array_equal(found[image].numpy(), alone)


def test_many_boxes_are_looked_at_in_parts(monkeypatch):
    labels = torch.from_numpy(packed_cells(90, 16).astype(np.int64))[None]
    labels[0, ::7, ::7] = 0
    whole = flow_tensor_objects.fill_object_holes(labels, 16)
    monkeypatch.setattr(flow_tensor_objects, "_BOX_PIXELS", 1)
    assert torch.equal(whole, flow_tensor_objects.fill_object_holes(labels, 16))
    assert not torch.equal(whole, labels)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ChannelError, match="flows"):
        labels_from_flow_tensors(torch.zeros(3, 2, 8, 8), torch.zeros(2, 8, 8))

"""Fine-tuning of a Cellpose network on annotated images, by Cellpose's own training loop."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from phenolake.errors import CellposeMissingError, TrainingDataError
from phenolake.segmentation.cellpose_weights import checked_weights, weights_folder
from phenolake.segmentation.learning.examples import read_examples, split_examples

_log = logging.getLogger(__name__)


def tune_cellpose(model: str, images: Path, out: Path, *, epochs: int = 100, seed: int = 0) -> Path:
    """Train checked Cellpose weights further on a folder of images and masks; return the file.

    The images are split as for `compact`; only the training part is learned from, the validation
    part gives Cellpose's test loss. Takes a GPU; on a CPU an epoch of a few images takes hours, and
    a warning says so.

    Raises
    ------
    CellposeMissingError, ModelFileError
        If the package or the weights are missing, or the file is another network's.
    TrainingDataError
        If the images can't train a network.
    """
    try:
        from cellpose.models import CellposeModel
        from cellpose.train import train_seg
    except ImportError as error:
        raise CellposeMissingError("Cellpose is not installed", weights_folder()) from error
    import torch

    path = checked_weights(model)
    parts = split_examples(read_examples(images), seed=seed)
    usable = [example for example in parts["train"] if example.labels.max(initial=0) > 0]
    if not usable:
        raise TrainingDataError(f"{images}: no training image has an object")
    has_gpu = torch.cuda.is_available()
    if not has_gpu:
        _log.warning("no GPU: Cellpose takes hours per epoch without one")
    network = CellposeModel(gpu=has_gpu, pretrained_model=str(path))
    np.random.seed(seed)  # noqa: NPY002  Cellpose draws from the global generator
    torch.manual_seed(seed)
    trained, _, _ = train_seg(
        network.net,
        train_data=[example.brightness for example in usable],
        train_labels=[example.labels for example in usable],
        test_data=[example.brightness for example in parts["validation"]] or None,
        test_labels=[example.labels for example in parts["validation"]] or None,
        n_epochs=epochs,
        save_path=str(out),
        model_name=f"{path.stem}_tuned",
        min_train_masks=1,
    )
    return Path(trained)

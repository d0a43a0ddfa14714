"""Where in a crop a network finds what makes it say a class."""

from __future__ import annotations

from typing import Any

import numpy as np

from phenolake.modeling.trained_network import TrainedNetwork, fitting_crops, standardize

_FEWEST_PLACES = 4


def grad_cam(model: TrainedNetwork, crops: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return maps of how much each place speaks for a class, float32 (n, size, size), 0 to 1.

    Parameters
    ----------
    crops
        As `TrainedNetwork.evaluate` takes them.
    codes
        int, shape (n,), the class asked about in each crop, as an index into `model.classes`.

    Notes
    -----
    Maps are of the last convolution that has at least 4 x 4 places. Each crop's largest value is 1;
    a crop where nothing speaks for the class is 0 everywhere.

    Raises
    ------
    TrainingDataError
        If the crops are not of the channels and size that were trained on.

    References
    ----------
    Selvaraju et al. (2017), "Grad-CAM: visual explanations from deep networks via gradient-based
    localization".
    """
    import torch
    from torch.nn import Conv2d
    from torch.nn.functional import interpolate

    crops = fitting_crops(crops, model.architecture, model.full_scale)
    network, seen = model.network, {}

    def keep(module: Any, inputs: Any, maps: torch.Tensor) -> None:
        if min(maps.shape[-2:]) >= _FEWEST_PLACES:
            seen["maps"] = maps

    convolutions = (part for part in network.body.modules() if isinstance(part, Conv2d))
    hooks = [convolution.register_forward_hook(keep) for convolution in convolutions]
    try:
        device = next(network.parameters()).device
        pixels = standardize(torch.from_numpy(crops).to(device), model.mean, model.sd)
        logits = network(pixels.requires_grad_())
    finally:
        for hook in hooks:
            hook.remove()
    asked = logits[torch.arange(len(crops)), torch.from_numpy(codes).to(device)].sum()
    (slopes,) = torch.autograd.grad(asked, seen["maps"])
    weights = slopes.mean(dim=(2, 3), keepdim=True)
    heat = (weights * seen["maps"]).sum(dim=1, keepdim=True).relu()
    heat = interpolate(heat, size=crops.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    largest = heat.amax(dim=(1, 2), keepdim=True)
    scaled: np.ndarray = (heat / largest.clamp_min(1e-12)).detach().cpu().numpy()
    return scaled

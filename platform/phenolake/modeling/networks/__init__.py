"""Layouts of networks as plain data, and the torch modules they describe."""

from __future__ import annotations

from phenolake.modeling.learning.recipe import Recipe
from phenolake.modeling.networks.backbone import Backbone, load_body
from phenolake.modeling.networks.device import torch_device
from phenolake.modeling.networks.layout import Layout, build_network, weight_count
from phenolake.modeling.networks.named import (
    CNN_MODELS,
    NAMED,
    changed_recipe,
    layout_from_dict,
    named_model,
)
from phenolake.modeling.networks.plain import Architecture
from phenolake.modeling.networks.resnet18 import ResNet18
from phenolake.modeling.networks.whole_field import MultipleInstance, MultiScale
from phenolake.modeling.networks.wide_residual import WideResidual

__all__ = [
    "CNN_MODELS",
    "NAMED",
    "Architecture",
    "Backbone",
    "Layout",
    "MultiScale",
    "MultipleInstance",
    "Recipe",
    "ResNet18",
    "WideResidual",
    "build_network",
    "changed_recipe",
    "layout_from_dict",
    "load_body",
    "named_model",
    "torch_device",
    "weight_count",
]

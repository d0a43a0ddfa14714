"""Jobs: everything for a plate, everything for a screen, and the marts."""

from __future__ import annotations

import dagster as dg

from phenolake_assets.cell_encoder import cell_encoder
from phenolake_assets.dose_responses import dose_responses
from phenolake_assets.embeddings import cell_embeddings, embedding_profiles
from phenolake_assets.feature_dictionary import feature_dictionary
from phenolake_assets.field_features import field_features
from phenolake_assets.fitted_recipes import fitted_recipes
from phenolake_assets.illumination_functions import illumination_functions
from phenolake_assets.image_quality import image_quality
from phenolake_assets.labelling_queue import labelling_queue
from phenolake_assets.model_predictions import model_predictions, well_predictions
from phenolake_assets.model_scores import model_scores
from phenolake_assets.models import phenotype_forest, phenotype_network
from phenolake_assets.objects import objects
from phenolake_assets.partitions import plates, screens
from phenolake_assets.profile_scores import batch_scores, profile_similarity, replicate_scores
from phenolake_assets.raw_images import plate_map, raw_image_catalog
from phenolake_assets.screen_profiles import (
    batch_corrected_profiles,
    consensus_profiles,
    feature_selection,
)
from phenolake_assets.segmentation_masks import segmentation_masks
from phenolake_assets.segmentation_scores import segmentation_scores
from phenolake_assets.single_cell_crops import single_cell_crops
from phenolake_assets.single_cell_features import single_cell_features
from phenolake_assets.table_maintenance import table_maintenance
from phenolake_assets.well_heterogeneity import well_heterogeneity
from phenolake_assets.well_profiles import normalized_profiles, well_profiles
from phenolake_assets.whole_fields import field_predictions, phenotype_field_network

PLATE_ASSETS = [
    raw_image_catalog,
    plate_map,
    illumination_functions,
    image_quality,
    segmentation_masks,
    objects,
    single_cell_features,
    single_cell_crops,
    field_features,
    well_profiles,
    well_heterogeneity,
    normalized_profiles,
]
SCREEN_ASSETS = [
    feature_dictionary,
    feature_selection,
    fitted_recipes,
    batch_corrected_profiles,
    consensus_profiles,
    batch_scores,
    profile_similarity,
    replicate_scores,
    segmentation_scores,
    phenotype_forest,
    phenotype_network,
    model_predictions,
    well_predictions,
    labelling_queue,
    cell_embeddings,
    embedding_profiles,
    model_scores,
    dose_responses,
]
#: Models that a screen gets when they are asked for; their trainings are long on a CPU.
FURTHER_MODELS = [phenotype_field_network, field_predictions, cell_encoder]

plate_job = dg.define_asset_job(
    "plate_job",
    selection=dg.AssetSelection.assets(*PLATE_ASSETS),
    partitions_def=plates,
    description="From the images of one plate to its normalized profiles.",
)
screen_job = dg.define_asset_job(
    "screen_job",
    selection=dg.AssetSelection.assets(*SCREEN_ASSETS),
    partitions_def=screens,
    description="Correction, consensus, models and predictions over all plates of a screen.",
)
retrain_job = dg.define_asset_job(
    "retrain_job",
    selection=dg.AssetSelection.assets(
        phenotype_forest, phenotype_network, model_predictions, well_predictions, labelling_queue
    ),
    partitions_def=screens,
    description="Models from the newest labels, what they say of every cell, what to label next.",
)
field_models_job = dg.define_asset_job(
    "field_models_job",
    selection=dg.AssetSelection.assets(
        phenotype_field_network, field_predictions, well_predictions
    ),
    partitions_def=screens,
    description="A network of whole fields, what it says of every field, and of every well.",
)
encoder_job = dg.define_asset_job(
    "encoder_job",
    selection=dg.AssetSelection.assets(cell_encoder),
    partitions_def=screens,
    description="A network that learns from cells without labels, for cell_embeddings.",
)
marts_job = dg.define_asset_job(
    "marts_job",
    selection=dg.AssetSelection.groups("marts"),
    description="The SQL reports over all screens.",
)
maintenance_job = dg.define_asset_job(
    "maintenance_job",
    selection=dg.AssetSelection.assets(table_maintenance),
    description="Small files joined, logs checkpointed, files of old versions deleted.",
)
JOBS = [
    plate_job,
    screen_job,
    retrain_job,
    field_models_job,
    encoder_job,
    marts_job,
    maintenance_job,
]

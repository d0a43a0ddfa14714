"""Models asset: `compact` fine-tuned on annotated images, judged on held-out ones, kept in MLflow."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from phenolake.modeling.versions import check_model_name
from phenolake.pictures import as_markdown
from phenolake.segmentation.compact_weights import SHIPPED
from phenolake.segmentation.learning.loop import TrainingSettings
from phenolake.segmentation.learning.pictures import CURVES, OVERLAYS
from phenolake.segmentation.learning.registry import EXPERIMENT, record_training
from phenolake.segmentation.learning.workflow import train_segmentation
from phenolake_assets.landing import STORAGE_RETRY, clear_failures
from phenolake_resources import MlflowResource


class SegmentationTraining(dg.Config):
    """What to train on and how long."""

    images: str = Field(
        description="folder with images/NAME.png and masks/NAME.png, or NAME.tif and NAME_masks.tif"
    )
    out: str = Field(description="folder for weights, card, curves and checkpoints")
    from_scratch: bool = Field(False, description="start from random weights, not the shipped ones")
    steps: int = Field(1000, gt=0, description="batches to learn from")
    learning_rate: float = Field(2e-4, gt=0, description="step size of AdamW")
    patience: int = Field(
        8, gt=0, description="rounds without a better validation score to stop at"
    )
    blend: float = Field(0.0, ge=0, lt=1, description="share of the starting weights in the result")
    simulated: int = Field(0, ge=0, description="simulated fields to add")
    left_out: str = Field("", description="condition that is only tested on")
    seed: int = Field(0, description="seed of split, weights and draws")
    name: str = Field(EXPERIMENT, description="registered model")


@dg.asset(
    group_name="models",
    kinds={"mlflow", "pytorch"},
    code_version="1",
    pool="training",
    retry_policy=STORAGE_RETRY,
)
def segmentation_network(
    context: dg.AssetExecutionContext, config: SegmentationTraining, mlflow: MlflowResource
) -> dg.MaterializeResult:
    """Network that finds nuclei, tuned to a laboratory's own images and label masks."""
    with clear_failures():
        check_model_name(config.name)
        trained = train_segmentation(
            Path(config.images),
            Path(config.out),
            base=None if config.from_scratch else SHIPPED,
            settings=TrainingSettings(
                steps=config.steps,
                steps_per_round=min(250, max(1, config.steps // 4)),
                learning_rate=config.learning_rate,
                patience=config.patience,
                blend=config.blend,
                seed=config.seed,
            ),
            simulated=config.simulated,
            left_out=config.left_out or None,
            on_round=lambda row: context.log.info(f"round {row}"),
        )
        version, reason = record_training(
            trained, mlflow.open(), config.name, {"dagster_run_id": context.run_id}
        )
    pooled = trained.scores.filter(condition="all")
    return dg.MaterializeResult(
        metadata={
            "model": version.uri,
            "champion": reason,
            "weights sha256": trained.weights_sha256,
            "use": f"segmentation: compact:{version.uri}",
            "judged on": f"{trained.judged_on} part, {pooled['images'][0]} images",
            **{
                f"F1 at IoU {row['threshold']}": round(row["f1"], 4)
                for row in pooled.iter_rows(named=True)
            },
            "curves": dg.MetadataValue.md(
                as_markdown((trained.folder / CURVES).read_bytes(), "curves")
            ),
            "found on held-out images": dg.MetadataValue.md(
                as_markdown((trained.folder / OVERLAYS).read_bytes(), "overlays")
            ),
        }
    )

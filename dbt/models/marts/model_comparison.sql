with cells as (
    select
        *,
        label = true_label as is_right
    from {{ source("gold", "model_predictions") }}
),

classes as (
    select
        Metadata_Screen,
        model_name,
        model_version,
        true_label,
        avg(is_right::int) as recall
    from cells
    where true_label is not null and "split" = 'validation'
    group by all
),

balanced as (
    select
        Metadata_Screen,
        model_name,
        model_version,
        count(*) as classes,
        avg(recall) as balanced_accuracy,
        min(recall) as worst_recall,
        arg_min(true_label, recall) as worst_class
    from classes
    group by all
)

select
    cells.Metadata_Screen,
    cells.model_name,
    cells.model_version,
    any_value(cells.mlflow_run_id) as mlflow_run_id,
    count(*) as cells,
    count_if(cells."split" = 'validation' and cells.true_label is not null) as validation_cells,
    avg(cells.is_right::int) filter (cells."split" = 'validation') as accuracy,
    any_value(balanced.balanced_accuracy) as balanced_accuracy,
    any_value(balanced.classes) as classes,
    any_value(balanced.worst_class) as worst_class,
    any_value(balanced.worst_recall) as worst_recall,
    avg(cells.probability) as mean_probability,
    avg(cells.entropy) as mean_entropy,
    avg((cells.novelty >= 0.99)::int) as novel_share
from cells
left join balanced using (Metadata_Screen, model_name, model_version)
group by cells.Metadata_Screen, cells.model_name, cells.model_version
order by all

with labelled as (
    select
        Metadata_Screen,
        Metadata_Plate,
        Metadata_Well,
        model_name,
        model_version,
        label,
        count(*) as cells,
        avg(probability) as mean_probability
    from {{ source("gold", "model_predictions") }}
    group by all
)

select
    labelled.Metadata_Screen,
    labelled.Metadata_Plate,
    labelled.Metadata_Well,
    plate_map.Metadata_Perturbation,
    plate_map.Metadata_Concentration,
    plate_map.Metadata_ConcentrationUnit,
    plate_map.Metadata_ControlType,
    plate_map.Metadata_MOA,
    labelled.model_name,
    labelled.model_version,
    labelled.label,
    labelled.cells,
    labelled.cells / sum(labelled.cells) over (
        partition by
            labelled.Metadata_Screen,
            labelled.Metadata_Plate,
            labelled.Metadata_Well,
            labelled.model_name,
            labelled.model_version
    ) as share,
    labelled.mean_probability
from labelled
left join {{ source("bronze", "plate_map") }} as plate_map
    using (Metadata_Screen, Metadata_Plate, Metadata_Well)
order by all

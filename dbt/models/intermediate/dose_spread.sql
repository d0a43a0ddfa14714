-- V factor of each perturbation with three doses or more on a plate, the best of a control group.
with doses as (
    select
        Metadata_Screen,
        Metadata_Plate,
        control_group,
        readout,
        Metadata_Perturbation,
        Metadata_Concentration,
        Metadata_ConcentrationUnit,
        avg(value) as dose_mean,
        stddev_samp(value) as dose_sd
    from {{ ref("well_readouts") }}
    where
        Metadata_ControlType = 'trt'
        and Metadata_Perturbation is not null
        and Metadata_Concentration is not null
        and value is not null
    group by all
),

series as (
    select
        Metadata_Screen,
        Metadata_Plate,
        control_group,
        readout,
        Metadata_Perturbation,
        1 - 6 * avg(dose_sd) / nullif(max(dose_mean) - min(dose_mean), 0) as v_factor
    from doses
    group by all
    having count(*) >= 3
)

select
    Metadata_Screen,
    Metadata_Plate,
    control_group,
    readout,
    max(v_factor) as v_factor,
    arg_max(Metadata_Perturbation, v_factor) as v_factor_perturbation
from series
group by all

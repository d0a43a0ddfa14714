select
    Metadata_Screen,
    Metadata_Plate,
    control_group,
    readout,
    count(value) as poscon_wells,
    avg(value) as poscon_mean,
    stddev_samp(value) as poscon_sd,
    string_agg(distinct Metadata_Perturbation, ', ' order by Metadata_Perturbation)
        as poscon_perturbation
from {{ ref("well_readouts") }}
where Metadata_ControlType = 'poscon' and value is not null
group by all

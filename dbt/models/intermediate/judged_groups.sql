with groups as (
    select distinct
        Metadata_Screen,
        Metadata_Plate,
        control_group
    from {{ ref("imaged_wells") }}
),

-- A plate of which every file was refused is still shown.
refused_plates as (
    select distinct
        Metadata_Screen,
        Metadata_Plate,
        'plate' as control_group
    from {{ source("bronze", "quarantine") }}
    anti join groups using (Metadata_Screen, Metadata_Plate)
),

readouts as (
    select distinct
        Metadata_Screen,
        readout
    from {{ ref("well_readouts") }}
)

select *
from (from groups union all from refused_plates)
join readouts using (Metadata_Screen)

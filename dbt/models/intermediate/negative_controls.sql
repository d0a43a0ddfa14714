with controls as (
    select *
    from {{ ref("well_readouts") }}
    where Metadata_ControlType = 'negcon' and value is not null
),

own_controls as (
    select distinct
        Metadata_Screen,
        Metadata_Plate,
        control_group,
        readout,
        true as has_own
    from controls
)

select
    groups.Metadata_Screen,
    groups.Metadata_Plate,
    groups.control_group,
    groups.readout,
    count(controls.value) as negcon_wells,
    avg(controls.value) as negcon_mean,
    stddev_samp(controls.value) as negcon_sd
from {{ ref("judged_groups") }} as groups
left join own_controls using (Metadata_Screen, Metadata_Plate, control_group, readout)
left join controls
    on groups.Metadata_Screen = controls.Metadata_Screen
    and groups.Metadata_Plate = controls.Metadata_Plate
    and groups.readout = controls.readout
    and (own_controls.has_own is null or groups.control_group = controls.control_group)
group by all

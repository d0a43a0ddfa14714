with imaged as (
    select
        Metadata_Screen,
        Metadata_Plate,
        control_group,
        count(*) as wells
    from {{ ref("imaged_wells") }}
    group by all
),

profiled as (
    select
        Metadata_Screen,
        Metadata_Plate,
        control_group,
        readout,
        count(value) as wells_profiled
    from {{ ref("well_readouts") }}
    group by all
),

refused as (
    select
        Metadata_Screen,
        Metadata_Plate,
        count(*) as quarantined
    from {{ source("bronze", "quarantine") }}
    group by all
)

select
    groups.Metadata_Screen,
    groups.Metadata_Plate,
    groups.control_group,
    groups.readout,
    coalesce(imaged.wells, 0) as wells,
    coalesce(profiled.wells_profiled, 0) as wells_profiled,
    coalesce(group_sites.sites, 0) as sites,
    coalesce(group_sites.sites_segmented, 0) as sites_segmented,
    coalesce(group_sites.sites_lost, 0) as sites_lost,
    coalesce(refused.quarantined, 0) as quarantined,
    coalesce(group_sites.cell_count, 0) as cell_count,
    group_sites.cells_per_site,
    coalesce(group_sites.blurred_sites, 0) as blurred_sites,
    group_sites.blurred_fraction,
    group_sites.focus_score,
    negcon.negcon_wells,
    coalesce(poscon.poscon_wells, 0) as poscon_wells,
    negcon.negcon_wells > 0 and coalesce(poscon.poscon_wells, 0) > 0 as has_controls,
    poscon.poscon_perturbation,
    negcon.negcon_mean,
    negcon.negcon_sd,
    poscon.poscon_mean,
    poscon.poscon_sd,
    -- The sample SD of one well is null, and so is what follows from it.
    1 - 3 * (poscon.poscon_sd + negcon.negcon_sd)
        / nullif(abs(poscon.poscon_mean - negcon.negcon_mean), 0) as z_prime,
    (poscon.poscon_mean - negcon.negcon_mean)
        / nullif(sqrt(poscon.poscon_sd ** 2 + negcon.negcon_sd ** 2), 0) as ssmd,
    dose_spread.v_factor,
    dose_spread.v_factor_perturbation,
    position.edge_wells,
    position.edge_effect,
    position.row_gradient,
    position.column_gradient
from {{ ref("judged_groups") }} as groups
join {{ ref("negative_controls") }} as negcon
    using (Metadata_Screen, Metadata_Plate, control_group, readout)
left join {{ ref("positive_controls") }} as poscon
    using (Metadata_Screen, Metadata_Plate, control_group, readout)
left join profiled using (Metadata_Screen, Metadata_Plate, control_group, readout)
left join imaged using (Metadata_Screen, Metadata_Plate, control_group)
left join {{ ref("group_sites") }} as group_sites
    using (Metadata_Screen, Metadata_Plate, control_group)
left join {{ ref("dose_spread") }} as dose_spread
    using (Metadata_Screen, Metadata_Plate, control_group, readout)
left join {{ ref("plate_position") }} as position
    using (Metadata_Screen, Metadata_Plate, readout)
left join refused using (Metadata_Screen, Metadata_Plate)
order by all

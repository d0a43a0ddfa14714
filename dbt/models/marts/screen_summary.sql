with groups as (
    select distinct on (Metadata_Screen, Metadata_Plate, control_group) *
    from {{ ref("plate_quality") }}
    order by readout
),

plates as (
    select
        Metadata_Screen,
        Metadata_Plate,
        sum(wells) as wells,
        sum(sites) as sites,
        sum(sites_lost) as sites_lost,
        sum(cell_count) as cell_count,
        any_value(quarantined) as quarantined,
        bool_or(has_controls) as has_controls
    from groups
    group by all
),

quality as (
    select
        Metadata_Screen,
        median(z_prime) as median_z_prime
    from {{ ref("plate_quality") }}
    group by all
),

treatments as (
    select
        Metadata_Screen,
        count(distinct (Metadata_Perturbation, Metadata_Concentration, Metadata_ConcentrationUnit))
            as treatments,
        count(distinct (Metadata_Perturbation, Metadata_Concentration, Metadata_ConcentrationUnit))
            filter (is_hit) as hits
    from {{ ref("hits") }}
    where not is_control
    group by all
),

curves as (
    select
        Metadata_Screen,
        count(distinct Metadata_Perturbation) as compounds_with_curves,
        count(distinct Metadata_Perturbation) filter (not no_activity) as active_compounds
    from {{ ref("dose_response") }}
    group by all
)

select
    plates.Metadata_Screen,
    count(*) as plates,
    count_if(plates.has_controls) as plates_with_controls,
    sum(plates.wells)::bigint as wells,
    sum(plates.sites)::bigint as sites,
    sum(plates.sites_lost)::bigint as sites_lost,
    sum(plates.quarantined)::bigint as quarantined,
    sum(plates.cell_count)::bigint as cell_count,
    any_value(quality.median_z_prime) as median_z_prime,
    coalesce(any_value(treatments.treatments), 0) as treatments,
    coalesce(any_value(treatments.hits), 0) as hits,
    coalesce(any_value(curves.compounds_with_curves), 0) as compounds_with_curves,
    coalesce(any_value(curves.active_compounds), 0) as active_compounds
from plates
left join quality using (Metadata_Screen)
left join treatments using (Metadata_Screen)
left join curves using (Metadata_Screen)
group by plates.Metadata_Screen
order by plates.Metadata_Screen

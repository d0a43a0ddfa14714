with sites as (
    select distinct
        Metadata_Screen,
        Metadata_Plate,
        Metadata_Well,
        Metadata_Site
    from {{ source("bronze", "raw_image_catalog") }}
),

segmented as (
    select
        Metadata_Screen,
        Metadata_Plate,
        Metadata_Well,
        Metadata_Site,
        object_count
    from {{ source("silver", "segmentation_masks") }}
    where compartment = 'Nuclei'
),

-- One blurred channel makes a site blurred.
focus as (
    select
        Metadata_Screen,
        Metadata_Plate,
        Metadata_Well,
        Metadata_Site,
        bool_or(is_blurred) as is_blurred,
        median(focus_score) filter (isfinite(focus_score)) as focus_score
    from {{ source("silver", "image_quality") }}
    group by all
)

select
    Metadata_Screen,
    Metadata_Plate,
    control_group,
    count(*) as sites,
    count(object_count) as sites_segmented,
    count(*) - count(object_count) as sites_lost,
    coalesce(sum(object_count), 0)::bigint as cell_count,
    median(object_count) as cells_per_site,
    count_if(is_blurred) as blurred_sites,
    count_if(is_blurred) / nullif(count(is_blurred), 0) as blurred_fraction,
    median(focus_score) as focus_score
from sites
join {{ ref("imaged_wells") }} using (Metadata_Screen, Metadata_Plate, Metadata_Well)
left join segmented using (Metadata_Screen, Metadata_Plate, Metadata_Well, Metadata_Site)
left join focus using (Metadata_Screen, Metadata_Plate, Metadata_Well, Metadata_Site)
group by all

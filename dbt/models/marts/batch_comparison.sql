with scores as (
    select
        Metadata_Screen,
        Metadata_Correction,
        max("value") filter (score = 'same_batch_neighbours') as same_batch_neighbours,
        max("value") filter (score = 'same_batch_by_chance') as same_batch_by_chance,
        max("value") filter (score = 'batch_silhouette') as batch_silhouette,
        max("value") filter (score = 'batch_kbet') as batch_kbet,
        max("value") filter (score = 'batch_lisi') as batch_lisi,
        max("value") filter (score = 'moa_silhouette') as moa_silhouette,
        max("value") filter (score = 'moa_lisi') as moa_lisi,
        max("value") filter (score = 'graph_connectivity') as graph_connectivity,
        max("value") filter (score = 'replicate_map') as replicate_map,
        max("value") filter (score = 'nsc') as nsc,
        max("value") filter (score = 'nscb') as nscb,
        max("value") filter (score = 'drop') as nsc_drop
    from {{ source("gold", "batch_scores") }}
    group by all
),

-- Place of each correction by each score that has a better end; equal scores share a place.
places as (
    select
        Metadata_Screen,
        Metadata_Correction,
        about,
        rank() over (
            partition by Metadata_Screen, score
            order by case when better = 'higher' then -"value" else "value" end
        ) as place
    from {{ source("gold", "batch_scores") }}
    where better is not null and "value" is not null
),

mean_places as (
    select
        Metadata_Screen,
        Metadata_Correction,
        avg(place) filter (about = 'batch') as mean_place_batch,
        avg(place) filter (about = 'biology') as mean_place_biology
    from places
    group by all
)

select *
from scores
left join mean_places using (Metadata_Screen, Metadata_Correction)
order by Metadata_Screen, Metadata_Correction

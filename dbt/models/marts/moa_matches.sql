with labelled as (
    select
        *,
        row_number() over (
            partition by
                Metadata_Screen,
                Metadata_Correction,
                Metadata_Perturbation,
                Metadata_Concentration,
                Metadata_ConcentrationUnit
            order by similarity_rank
        ) as place
    from {{ ref("similar_perturbations") }}
    where similar_moa is not null
),

votes as (
    select
        Metadata_Screen,
        Metadata_Correction,
        Metadata_Perturbation,
        Metadata_Concentration,
        Metadata_ConcentrationUnit,
        Metadata_MOA,
        arg_min(similar_moa, place) as predicted_moa,
        arg_min(similar_perturbation, place) as nearest_perturbation,
        max(similarity) as similarity,
        -- Of the five nearest treatments of other perturbations that have a mechanism.
        count_if(place <= 5 and similar_moa = Metadata_MOA) as votes_of_five
    from labelled
    group by all
)

select
    *,
    predicted_moa = Metadata_MOA as is_match
from votes
order by Metadata_Screen, Metadata_Correction, Metadata_Perturbation, Metadata_Concentration

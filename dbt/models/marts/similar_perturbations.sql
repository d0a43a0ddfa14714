-- Doses of the perturbation itself are left out; the ranks of the others close up.
select
    Metadata_Screen,
    Metadata_Correction,
    Metadata_Perturbation,
    Metadata_Concentration,
    Metadata_ConcentrationUnit,
    Metadata_MOA,
    cluster,
    row_number() over treatment as similarity_rank,
    neighbour_Perturbation as similar_perturbation,
    neighbour_Concentration as similar_concentration,
    neighbour_ConcentrationUnit as similar_concentration_unit,
    neighbour_MOA as similar_moa,
    similarity
from {{ source("gold", "profile_similarity") }}
where neighbour_Perturbation is distinct from Metadata_Perturbation
window treatment as (
    partition by
        Metadata_Screen,
        Metadata_Correction,
        Metadata_Perturbation,
        Metadata_Concentration,
        Metadata_ConcentrationUnit
    order by "rank"
)
qualify similarity_rank <= {{ var("similar_perturbations") }}
order by Metadata_Screen, Metadata_Correction, Metadata_Perturbation, Metadata_Concentration, similarity_rank

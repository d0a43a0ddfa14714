with treatments as (
    select
        Metadata_Screen,
        Metadata_Perturbation,
        Metadata_Concentration,
        Metadata_ConcentrationUnit,
        readout,
        min(Metadata_MOA) as Metadata_MOA,
        coalesce(bool_or(Metadata_ControlType <> 'trt'), false) as is_control,
        count(*) as wells,
        count(distinct Metadata_Plate) as plates,
        string_agg(Metadata_Plate || ' ' || Metadata_Well, ', ' order by Metadata_Plate, Metadata_Well)
            as well_names,
        median(value) as median_value,
        median(z_score) as median_z,
        avg(difference) as effect,
        stddev_samp(difference) as replicate_sd,
        avg(difference) / nullif(sqrt(var_samp(difference) + avg(negcon_sd ** 2)), 0) as ssmd,
        greatest(count_if(difference > 0), count_if(difference < 0))
            / nullif(count(difference), 0) as replicate_agreement,
        -- Stouffer: the sum of n standard normals has an SD of sqrt(n).
        sum(z_score) / sqrt(count(z_score)) as combined_z
    from {{ ref("treated_wells") }}
    group by all
),

tested as (
    select
        treatments.*,
        tests.t_score,
        case when tests.t_score is not null then tests.freedom end as t_freedom,
        case when tests.t_score is not null then tests.prior_freedom end as prior_freedom,
        -- Without two controls of a plate nothing is known of noise but the robust z.
        case
            when tests.t_score is not null and wells > 1 then 'controls and replicates'
            when tests.t_score is not null then 'controls'
            when combined_z is not null then 'z scores'
        end as null_model,
        case
            when tests.t_score is not null
                then {{ two_sided_t_p("tests.t_score", "tests.freedom") }}
            else {{ two_sided_normal_p("combined_z") }}
        end as p_value
    from treatments
    left join {{ ref("treatment_tests") }} as tests
        on treatments.Metadata_Screen = tests.Metadata_Screen
        and treatments.Metadata_Perturbation = tests.Metadata_Perturbation
        and treatments.Metadata_Concentration is not distinct from tests.Metadata_Concentration
        and treatments.Metadata_ConcentrationUnit is not distinct from tests.Metadata_ConcentrationUnit
        and treatments.readout = tests.readout
),

-- Benjamini and Hochberg: p times tests over rank, made monotonic from the largest p downwards.
-- Controls are a family of their own: counting sure hits among the tests would let noise through.
ranked as (
    select
        *,
        p_value * count(p_value) over family / count(p_value) over (family order by p_value)
            as p_by_rank
    from tested
    window family as (partition by Metadata_Screen, readout, is_control)
),

corrected as (
    select
        * exclude (p_by_rank),
        case
            when p_value is not null
                then least(1.0, min(p_by_rank) over (
                    partition by Metadata_Screen, readout, is_control
                    order by p_value desc nulls first
                ))
        end as q_value
    from ranked
)

select
    *,
    coalesce(q_value < {{ var("hit_q") }} and abs(median_z) >= {{ var("hit_z") }}, false) as is_hit
from corrected
order by Metadata_Screen, readout, q_value, abs(median_z) desc, Metadata_Perturbation, Metadata_Concentration

-- Wells of a treatment against the negative controls of their plates (and control groups): a t test
-- blocked by plate whose variance comes from the controls alone.
with wells as (
    select
        readouts.*,
        negcon.negcon_wells,
        negcon.negcon_mean,
        negcon.negcon_sd
    from {{ ref("well_readouts") }} as readouts
    join {{ ref("negative_controls") }} as negcon
        using (Metadata_Screen, Metadata_Plate, control_group, readout)
    where readouts.Metadata_Perturbation is not null and readouts.value is not null
),

blocks as (
    select
        Metadata_Screen,
        Metadata_Perturbation,
        Metadata_Concentration,
        Metadata_ConcentrationUnit,
        readout,
        Metadata_Plate,
        control_group,
        avg(value) - any_value(negcon_mean) as difference,
        -- What a mean of n wells less a mean of m controls varies by, in variances of a well.
        1 / (1 / count(*) + 1 / any_value(negcon_wells)) as weight,
        any_value(negcon_wells) - 1 as freedom,
        any_value(negcon_sd) ** 2 as variance
    from wells
    where negcon_wells > 0
    group by all
),

-- Groups of a plate may share controls, so that a plate has the freedom of one group only.
plates as (
    select
        Metadata_Screen,
        Metadata_Perturbation,
        Metadata_Concentration,
        Metadata_ConcentrationUnit,
        readout,
        Metadata_Plate,
        sum(weight * difference) as weighted_difference,
        sum(weight) as weight,
        max(freedom) as freedom,
        sum(freedom * variance) / nullif(sum(freedom), 0) as variance
    from blocks
    group by all
),

pooled as (
    select
        Metadata_Screen,
        Metadata_Perturbation,
        Metadata_Concentration,
        Metadata_ConcentrationUnit,
        readout,
        sum(weighted_difference) / sum(weight) as blocked_effect,
        sum(weight) as weight,
        sum(freedom)::bigint as freedom,
        sum(freedom * variance) / nullif(sum(freedom), 0) as variance
    from plates
    group by all
)

select
    * exclude (weight, variance),
    sqrt(variance / weight) as standard_error,
    case when variance > 0 then blocked_effect / sqrt(variance / weight) end as t_score
from pooled

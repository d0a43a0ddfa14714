-- Wells of a treatment against the negative controls of their plates (and control groups): a t test
-- blocked by plate. Its variance is moderated (Smyth, Stat. Appl. Genet. Mol. Biol. 3:3, 2004): that
-- of the treatment's own replicates, and that of the controls as the prior, which counts the less
-- the more the variances of the screen's treatments differ, as they do where noise has heavy tails.
with wells as (
    select
        *,
        bool_or(Metadata_ControlType <> 'trt') over treatment as is_control,
        count(*) over treatment - 1 as replicate_freedom,
        coalesce(var_samp(difference) over treatment, 0) as replicate_variance
    from {{ ref("treated_wells") }}
    where negcon_wells > 0
    window treatment as (
        partition by
            Metadata_Screen, Metadata_Perturbation, Metadata_Concentration, Metadata_ConcentrationUnit, readout
    )
),

blocks as (
    select
        Metadata_Screen,
        Metadata_Perturbation,
        Metadata_Concentration,
        Metadata_ConcentrationUnit,
        readout,
        is_control,
        replicate_freedom,
        replicate_variance,
        Metadata_Plate,
        control_group,
        avg(difference) as difference,
        -- What a mean of n wells less a mean of m controls varies by, in variances of a well.
        1 / (1 / count(*) + 1 / any_value(negcon_wells)) as weight,
        any_value(negcon_wells) - 1 as freedom,
        any_value(negcon_sd) ** 2 as variance
    from wells
    group by all
),

-- Groups of a plate may share controls, so that a plate has the freedom of one group only.
plates as (
    select
        * exclude (control_group, difference, weight, freedom, variance),
        sum(weight * difference) as weighted_difference,
        sum(weight) as weight,
        max(freedom) as freedom,
        sum(freedom * variance) / nullif(sum(freedom), 0) as variance
    from blocks
    group by all
),

treatments as (
    select
        * exclude (Metadata_Plate, weighted_difference, weight, freedom, variance),
        sum(weighted_difference) / sum(weight) as blocked_effect,
        sum(weight) as weight,
        sum(freedom)::bigint as control_freedom,
        sum(freedom * variance) / nullif(sum(freedom), 0) as control_variance
    from plates
    group by all
),

-- Squared mean of the treatments' SDs over the mean of their variances: 1 where all share one variance
-- (each SD divided by what normal noise of its freedom makes of it), and less the more they differ
-- (Geary, Biometrika 27:310, 1935, has it for residuals).
spread as (
    select
        Metadata_Screen,
        readout,
        (
            sum(
                replicate_freedom * sqrt(replicate_variance / control_variance * replicate_freedom / 2)
                / exp(lgamma((replicate_freedom + 1) / 2) - lgamma(replicate_freedom / 2))
            ) / sum(replicate_freedom)
        ) ** 2
        / (sum(replicate_freedom * replicate_variance / control_variance) / sum(replicate_freedom))
            as evenness
    from treatments
    where
        not coalesce(is_control, false)
        and replicate_freedom > 0
        and replicate_variance > 0
        and control_variance > 0
    group by all
),

-- What it is for variances that differ as F variables do, solved for the prior's degrees of freedom:
-- whole ones up to a thousand, beyond which t and normal are one.
priors as (
    select
        Metadata_Screen,
        readout,
        2 + len(list_filter(
            range(3, 1001),
            freedom -> exp(2 * (lgamma((freedom - 1) / 2) - lgamma(freedom / 2))) * (freedom - 2) / 2 <= evenness
        )) as prior_freedom
    from spread
),

moderated as (
    select
        treatments.*,
        least(control_freedom, coalesce(prior_freedom, control_freedom)) as prior_freedom
    from treatments
    left join priors using (Metadata_Screen, readout)
),

tested as (
    select
        *,
        prior_freedom + replicate_freedom as freedom,
        (prior_freedom * control_variance + replicate_freedom * replicate_variance)
            / nullif(prior_freedom + replicate_freedom, 0) as variance
    from moderated
)

select
    Metadata_Screen,
    Metadata_Perturbation,
    Metadata_Concentration,
    Metadata_ConcentrationUnit,
    readout,
    prior_freedom,
    freedom::bigint as freedom,
    case
        when control_variance > 0 then blocked_effect / sqrt(variance / weight)
    end as t_score
from tested

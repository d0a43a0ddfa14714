select
    readouts.*,
    readouts.value - negcon.negcon_mean as difference,
    negcon.negcon_wells,
    negcon.negcon_sd
from {{ ref("well_readouts") }} as readouts
join {{ ref("negative_controls") }} as negcon
    using (Metadata_Screen, Metadata_Plate, control_group, readout)
where readouts.Metadata_Perturbation is not null and readouts.value is not null

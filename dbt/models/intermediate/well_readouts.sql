select
    * replace (
        case when isfinite(value) then value end as value,
        case when isfinite(z_score) then z_score end as z_score
    ),
    {{ control_group("Metadata_ControlGroup") }} as control_group
from {{ source("gold", "readout_values") }}

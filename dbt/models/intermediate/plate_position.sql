-- What the place on the plate does: wells that are neither positive controls nor empty.
with wells as (
    select
        Metadata_Screen,
        Metadata_Plate,
        readout,
        value,
        {{ well_row("Metadata_Well") }} as well_row,
        {{ well_column("Metadata_Well") }} as well_column
    from {{ ref("well_readouts") }}
    where value is not null and coalesce(Metadata_ControlType, 'trt') in ('negcon', 'trt')
),

placed as (
    select
        *,
        well_row = min(well_row) over plate
        or well_row = max(well_row) over plate
        or well_column = min(well_column) over plate
        or well_column = max(well_column) over plate as is_edge
    from wells
    window plate as (partition by Metadata_Screen, Metadata_Plate)
)

select
    Metadata_Screen,
    Metadata_Plate,
    readout,
    count_if(is_edge) as edge_wells,
    (median(value) filter (is_edge) - median(value) filter (not is_edge))
        / nullif(1.4826 * mad(value), 0) as edge_effect,
    -- DuckDB's corr is NaN where one of the two does not vary.
    case when stddev_samp(value) > 0 and min(well_row) < max(well_row)
        then corr(value, well_row) end as row_gradient,
    case when stddev_samp(value) > 0 and min(well_column) < max(well_column)
        then corr(value, well_column) end as column_gradient
from placed
group by all

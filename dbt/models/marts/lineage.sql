-- The commit that wrote what each part of each table holds, and whether an input changed after it.
with newest as (
    select *
    from {{ source("gold", "table_commits") }}
    where is_current
    qualify row_number() over (
        partition by table_name, Metadata_Screen, Metadata_Plate
        order by version desc
    ) = 1
),

read_versions as (
    select
        newest.table_name,
        newest.version,
        read_tables.name as input_table,
        (newest.inputs ->> read_tables.name)::bigint as input_version
    from newest, unnest(json_keys(newest.inputs)) as read_tables(name)
),

-- Joining files or deleting old ones changes no row, and makes nothing stale.
changes as (
    select *
    from {{ source("gold", "table_commits") }}
    where operation in ('write', 'restore')
),

judged as (
    select
        read_versions.table_name,
        read_versions.version,
        string_agg(
            distinct read_versions.input_table || ' ' || read_versions.input_version,
            ', ' order by read_versions.input_table || ' ' || read_versions.input_version
        ) as inputs,
        string_agg(distinct read_versions.input_table, ', ' order by read_versions.input_table)
            filter (changes.version is not null) as newer_inputs
    from read_versions
    join newest using (table_name, version)
    left join changes
        on read_versions.input_table = changes.table_name
        and changes.version > read_versions.input_version
        -- A restored table, and what is of a whole screen, concern every plate.
        and coalesce(changes.Metadata_Screen = newest.Metadata_Screen, true)
        and coalesce(changes.Metadata_Plate = newest.Metadata_Plate, true)
    group by all
)

select
    newest.layer,
    newest.table_name,
    newest.Metadata_Screen,
    newest.Metadata_Plate,
    newest.version,
    newest.committed_at,
    newest."rows",
    newest.run_id,
    newest.code_version,
    newest.parameters,
    judged.inputs,
    judged.newer_inputs,
    judged.newer_inputs is not null as is_stale
from newest
left join judged using (table_name, version)
order by newest.committed_at, newest.table_name, newest.Metadata_Screen, newest.Metadata_Plate

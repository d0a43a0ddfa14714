-- The newest commit of each part of each table, and whether an input was written after it.
with newest as (
    select *
    from {{ source("gold", "table_commits") }}
    qualify row_number() over (
        partition by table_name, Metadata_Screen, Metadata_Plate
        order by version desc
    ) = 1
),

-- Parameters name the tables that were read, with the version of each.
inputs as (
    select
        newest.table_name,
        newest.version,
        read_tables.name as input_table,
        try_cast(newest.parameters ->> read_tables.name as bigint) as input_version
    from newest, unnest(json_keys(newest.parameters)) as read_tables(name)
    where
        read_tables.name in (select table_name from newest)
        and newest.table_name <> read_tables.name
),

judged as (
    select
        inputs.table_name,
        inputs.version,
        string_agg(
            distinct inputs.input_table || ' ' || inputs.input_version,
            ', ' order by inputs.input_table || ' ' || inputs.input_version
        ) as inputs,
        string_agg(distinct inputs.input_table, ', ' order by inputs.input_table)
            filter (later.version is not null) as newer_inputs
    from inputs
    join newest using (table_name, version)
    left join {{ source("gold", "table_commits") }} as later
        on inputs.input_table = later.table_name
        and later.version > inputs.input_version
        and later.Metadata_Screen = newest.Metadata_Screen
        and coalesce(later.Metadata_Plate = newest.Metadata_Plate, true)
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

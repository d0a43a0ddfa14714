{# dbt would prefix the schema with the target's; the marts are to land in `marts` exactly. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}

{# Wells without a group belong to the group `plate`. #}
{% macro control_group(column) -%}
    coalesce(nullif({{ column }}, ''), 'plate')
{%- endmacro %}

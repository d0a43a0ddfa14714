{# Number of a well's row, from 1: A is 1, AA is 27. #}
{% macro well_row(well) -%}
    list_reduce(
        list_transform(
            string_split(regexp_extract({{ well }}, '^[A-Z]+'), ''), letter -> ascii(letter) - 64
        ),
        (number, letter) -> 26 * number + letter
    )
{%- endmacro %}

{# Number of a well's column, from 1. #}
{% macro well_column(well) -%}
    regexp_extract({{ well }}, '[0-9]+$')::int
{%- endmacro %}

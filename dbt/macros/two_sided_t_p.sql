{#
    Two-sided p value of Student's `t` with `df` degrees of freedom, both SQL expressions: the t is
    made a standard normal by Wallace's transformation (Ann. Math. Stat. 30:1121, 1959), which is
    within 2 % of the p value from 5 degrees of freedom on and errs to the larger side below.
#}
{% macro two_sided_t_p(t, df) -%}
    {%- set z -%}
        ((8 * {{ df }} + 1) / (8 * {{ df }} + 3) * sqrt({{ df }} * ln(1 + {{ t }} * {{ t }} / {{ df }})))
    {%- endset -%}
    {{ two_sided_normal_p(z) }}
{%- endmacro %}

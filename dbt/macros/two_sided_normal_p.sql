{#
    Two-sided p value of a standard normal `z`, an SQL expression: erfc(x) with x = |z| / sqrt 2.

    DuckDB has no erfc. This is the trapezoidal rule with step 1/2 on its integral form
    (Hunter and Regan, Math. Comp. 26:539, 1972), exact to 9 digits near z = 0 and to 12 in
    the tails, where q values are decided.
#}
{% macro two_sided_normal_p(z) -%}
    {%- set x = "(abs(" ~ z ~ ") / sqrt(2))" -%}
    {%- set x2 = "(" ~ z ~ " * " ~ z ~ " / 2)" -%}
    case
        -- The terms below cancel here; the first of the power series is enough.
        when abs({{ z }}) < 1e-3 then 1 - abs({{ z }}) * sqrt(2 / pi())
        -- Beyond this the p value is below the smallest double.
        when abs({{ z }}) > 38 then 0.0
        else least(
            1.0,
            {{ x }} * exp(-{{ x2 }}) / (2 * pi()) * (
                1 / {{ x2 }}
                {%- for n in range(1, 13) %}
                + 2 * exp(-{{ n * n / 4 }}) / ({{ n * n / 4 }} + {{ x2 }})
                {%- endfor %}
            )
            -- The pole at i x adds this while it lies within half the period of the rule, 2 pi.
            - if({{ x }} < 6, 2 / (exp(4 * pi() * {{ x }}) - 1), 0)
        )
    end
{%- endmacro %}

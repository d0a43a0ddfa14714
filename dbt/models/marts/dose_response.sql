-- Where there is no activity, a midpoint and a slope are numbers without meaning.
select
    * replace (
        {%- for name in ["full", "ec50", "hill"] -%}
            {%- for end in ["", "_low", "_high"] %}
        case when not no_activity then "{{ name }}{{ end }}" end as "{{ name }}{{ end }}"
                {{- "," if not (name == "hill" and end == "_high") }}
            {%- endfor -%}
        {%- endfor %}
    ),
    case when not no_activity then ("full" - "zero") end as span,
    case when not no_activity then ("zero" + "full") / 2 end as half_maximal_response
from {{ source("gold", "dose_responses") }}
order by Metadata_Screen, response, activity_p, Metadata_Perturbation, Metadata_ConcentrationUnit

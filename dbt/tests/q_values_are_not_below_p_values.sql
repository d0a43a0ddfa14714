-- Correcting for many tests can only make the evidence weaker.
select *
from {{ ref("hits") }}
where q_value < p_value - 1e-12

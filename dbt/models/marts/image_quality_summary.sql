select
    Metadata_Screen,
    Metadata_Plate,
    channel,
    count(*) as images,
    count(*) filter (is_blurred) as blurred_images,
    count(*) filter (is_saturated) as saturated_images,
    count(*) filter (is_empty) as empty_images,
    count(*) filter (is_debris) as debris_images,
    count(*) filter (is_background_outlier) as background_outliers,
    count(*) filter (is_duplicate) as duplicate_images,
    -- Images judged before this rule existed say nothing: they count as usable.
    count(*) filter (not is_usable) as unusable_images,
    count(*) filter (not is_usable) / count(*) as unusable_fraction,
    median(focus_score) filter (isfinite(focus_score)) as median_focus_score,
    median(power_log_log_slope) filter (isfinite(power_log_log_slope)) as median_power_log_log_slope,
    median(blur_px) filter (isfinite(blur_px)) as median_blur_px,
    max(dust_fraction) as dust_fraction,
    median(background) as median_background,
    median(p99_intensity) as median_p99_intensity
from {{ source("silver", "image_quality") }}
group by all
order by all

-- Wells from the images, and from the profiles in case the catalogue was cleared since.
select distinct
    images.Metadata_Screen,
    images.Metadata_Plate,
    images.Metadata_Well,
    {{ control_group("plate_map.Metadata_ControlGroup") }} as control_group
from {{ source("bronze", "raw_image_catalog") }} as images
left join {{ source("bronze", "plate_map") }} as plate_map
    using (Metadata_Screen, Metadata_Plate, Metadata_Well)
union
select distinct
    Metadata_Screen,
    Metadata_Plate,
    Metadata_Well,
    control_group
from {{ ref("well_readouts") }}

"""Training of segmentation networks: examples with truth, augmentation, the loop, the model card."""

"""What all data sets share: table, splits, decoding, augmentation, caches."""

"""A trained network put to work: exported, made smaller, and measured again."""

"""Writing labels out of a study."""

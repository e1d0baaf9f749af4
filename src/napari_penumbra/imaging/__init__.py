"""Files to values and back: images, labels, resampling, and the simulated cohort. No torch, no Qt, no study."""

"""Learning: the one loop that every method is trained by, and the worker process around it."""

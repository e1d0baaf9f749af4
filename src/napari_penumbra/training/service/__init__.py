"""Processes beside trainings: a prediction worker that stays, models compared on the frozen cases, models checked."""

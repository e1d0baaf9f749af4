"""Parts of ``speed.py``: the study, the loops that are compared, and the tricks one by one."""

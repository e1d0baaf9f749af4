"""Parts of ``benchmarks/evidence.py``: cohorts, the plan of cells, one cell, many side by side, tables and figures."""

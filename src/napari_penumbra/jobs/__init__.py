"""A worker process seen from outside: its folder, its start, its last words. Never imports torch."""

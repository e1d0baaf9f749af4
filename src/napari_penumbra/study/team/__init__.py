"""A team's index of a study on a PostgreSQL server: several readers write at once, each case is checked out by one."""

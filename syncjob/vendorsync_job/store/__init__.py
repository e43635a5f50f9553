"""PostgreSQL: the only place with SQL, and the only user of psycopg."""

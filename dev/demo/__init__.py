"""The demo: from a checkout to plants in PostgreSQL on a real cluster, and a guided tour."""

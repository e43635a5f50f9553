"""Sample Solar, an invented vendor."""

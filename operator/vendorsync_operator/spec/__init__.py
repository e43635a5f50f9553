"""Pure: what a spec leads to, and why it is refused."""

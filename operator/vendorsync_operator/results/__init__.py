"""Pure: what became of runs, what keeps those that are overdue, and how often to try again."""

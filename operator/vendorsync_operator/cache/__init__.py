"""What the operator remembers of the cluster."""

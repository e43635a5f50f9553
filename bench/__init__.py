"""Measures of the sync engine and of the operator, each against a baseline on the same machine."""

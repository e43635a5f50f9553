"""Measures of the sync engine, each as a ratio against a baseline on the same machine."""

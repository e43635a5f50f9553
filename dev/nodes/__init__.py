"""Nodes that only pretend: kwok lets their pods run and end, with a report of a run."""

from dev.nodes.controllers import hasten
from dev.nodes.kwok import Nodes, nodes
from dev.nodes.stages import Runs

__all__ = ["Nodes", "Runs", "hasten", "nodes"]

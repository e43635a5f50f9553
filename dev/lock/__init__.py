"""The locks, requirements/*.txt: how they are made, and what says that nothing is missing in them.

`python -m dev.lock` makes those of pyproject.toml, and `python -m bench.lock` those of the bench.
"""

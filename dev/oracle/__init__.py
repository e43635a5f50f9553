"""When the CronJob controller would fire: a small Go program on its own cron module."""

from dev.oracle.asking import Oracle, OracleError, oracle
from dev.oracle.building import ensure_oracle

__all__ = ["Oracle", "OracleError", "ensure_oracle", "oracle"]

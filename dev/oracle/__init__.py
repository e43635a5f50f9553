"""When the CronJob controller would fire: a small Go program on its own cron module."""

from dev.oracle.asking import Oracle, OracleError, oracle

__all__ = ["Oracle", "OracleError", "oracle"]

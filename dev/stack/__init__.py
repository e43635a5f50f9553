"""The whole product on a development cluster: images, database, simulated vendors, operator.

The demo and the end-to-end tests stand on this; each function may be called again.
"""

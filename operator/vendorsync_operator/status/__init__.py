"""Pure: what the status of a resource says, and the Events about it."""

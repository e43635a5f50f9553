"""The contract between people, the operator and the sync job; of others it imports pydantic."""

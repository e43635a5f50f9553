"""The API server: transport and fence, objects, streams and the Lease."""

"""The engine: a batch of messages becomes one database transaction, then published events."""

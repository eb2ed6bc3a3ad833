"""The demo: the whole chain from nothing, reports that travel it, what happened, a verdict.

Nothing here calls into a service: messages go in by a stock Kafka client, and everything that is
shown is read from topics, journals, metrics and HTTP.
"""

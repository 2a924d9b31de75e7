"""Features and online models: what is learned from a customer's events."""

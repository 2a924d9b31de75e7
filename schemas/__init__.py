"""The contracts: what an event, an output and a definition may say."""

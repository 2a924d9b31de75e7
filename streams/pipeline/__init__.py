"""The pure core: one event or tick at a time, no clock, no environment, no I/O."""

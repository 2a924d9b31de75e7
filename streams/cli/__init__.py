"""The command line: one program, a module per group of commands."""

"""One module per contender, each a process of its own; the contract is in `needstream.bench.contending`."""

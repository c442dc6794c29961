"""One input: what is asked about it, how it is drawn, and its result."""

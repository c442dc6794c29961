"""One input: the questions about it, its draws and its result."""

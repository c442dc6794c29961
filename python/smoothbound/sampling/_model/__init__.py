"""How a model runs on a batch, what it is given, and what it returns."""

"""Probabilities that a score reaches a level, and quantiles of the scores."""

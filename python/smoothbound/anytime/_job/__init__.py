"""The number of draws of one input: jobs, the budget that they share, and resumed jobs."""

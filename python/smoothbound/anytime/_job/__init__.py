"""How many draws one input gets: its job, the budget that jobs share, and where a job goes on."""

"""Runs of certify on a cluster of Ray, which distributes the inputs to workers.

Ray starts the workers, distributes the inputs in small batches, and replaces workers that die.
Everything else follows the contract of files in docs/clusters.md: the run is the only shard of a
run in shards, and the driver holds this shard. Each worker writes its rows to a part of its own,
and the driver copies them into the part of the shard. A run is therefore continued from its files,
and not from the state of Ray.
"""

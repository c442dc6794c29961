"""Runs of certify on a cluster of Ray, which hands the inputs out to workers.

Ray starts the workers, hands out the inputs in small batches, and replaces workers that die. All
else is the contract of files in docs/clusters.md: the run is the only shard of a run in shards,
which the driver holds. Each worker writes its rows to a part of its own, and the driver copies them
into the part of the shard. So a run goes on from its files, and never from what Ray keeps.
"""

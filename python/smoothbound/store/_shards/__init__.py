"""Runs in shards: one results folder that many processes write, each its own files."""

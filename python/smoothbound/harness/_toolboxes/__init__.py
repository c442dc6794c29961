"""Adapters for toolboxes whose inputs have no indices, so that noise depends on their content."""

"""Adapters for toolboxes of robustness, whose inputs have no numbers: noise by their content."""

"""The metrics of torchmetrics: what they certify, and their states."""

"""The metrics for torchmetrics: their certificates and their states."""

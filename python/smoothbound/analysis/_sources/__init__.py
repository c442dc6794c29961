"""From where evaluations come: certificates and results folders."""

"""The parts of a report, one for each subject."""

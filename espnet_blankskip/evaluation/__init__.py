"""How good and how fast a checkpoint is, in every mode that it can run in."""

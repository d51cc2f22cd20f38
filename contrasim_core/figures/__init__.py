"""What the figures of several kinds of run share. Figures compute nothing that a result does not hold; no torch."""

"""Encoders trained on pairs of sources."""

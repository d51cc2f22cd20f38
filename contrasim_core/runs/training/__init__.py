"""Encoders trained on the layers of several models."""

"""Nearest rows of a layer, stored for all runs."""

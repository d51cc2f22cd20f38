"""Nearest rows of a layer, kept for all runs."""

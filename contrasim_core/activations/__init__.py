"""Representations: how they are taken from a model, held and kept."""

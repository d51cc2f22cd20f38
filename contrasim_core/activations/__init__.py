"""Representations: how they are extracted from a model, passed around and stored."""

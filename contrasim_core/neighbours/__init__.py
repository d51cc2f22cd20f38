"""Nearest rows of a layer, for hard negatives."""

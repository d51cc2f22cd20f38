"""Activations of one model on one data set."""

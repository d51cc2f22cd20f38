"""Rows in two dimensions, before and after an encoder."""

"""Models: found by name without torch, loaded, and placed on a device."""

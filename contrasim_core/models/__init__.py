"""Models: find them by name without torch, load them, and place them on a device."""

"""Two models under several measures."""

"""The verbs of the command line, by what they are for: work, keep, serve."""

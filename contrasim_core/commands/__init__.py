"""The command line: a file for each verb; `main` has them all."""

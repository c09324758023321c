"""The doors of the house, real side: files, locks, processes, git."""

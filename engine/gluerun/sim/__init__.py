"""The doors of the house, simulated side: the same promises, kept in memory."""

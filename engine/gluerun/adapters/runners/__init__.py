"""Agent programs as data: how each is started and how its answer is read."""

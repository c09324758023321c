"""Thinking: pure decisions over records. Nothing here may touch the world."""

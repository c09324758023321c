"""Readers: views of the state for people and programs. Never writes state."""

"""The words: frozen records, their wire form and the judges of their shape. No effects."""

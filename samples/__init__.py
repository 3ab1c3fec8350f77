"""Sample documents of two invented matters, and how they are made."""

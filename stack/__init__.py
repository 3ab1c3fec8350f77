"""The embedded stack: real servers from wheels, and doubles of what is a paid service."""

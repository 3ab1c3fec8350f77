"""What rehearsals of somebody else's API have in common: `stack.marketplace`, `stack.claude`.

Each is an HTTP server of its own that keeps a state directory, remembers its keys there,
fails when asked to, and is started as a child process. What it answers is its own affair.
"""

"""The program `aseagi`: one module per group of commands, each importing what it needs when run."""

"""The rules of the offline analyst, one subject per file; nothing here leaves the machine."""

"""What files other than PDFs and pictures say: their text without OCR, and the files in them.

Everything here reads hostile bytes and runs in a process of its own (`tasks.inspecting`).
Errors that these modules or their libraries raise on damaged files are theirs to raise:
`tasks.inspection` turns them into one line for a person.
"""

"""A corpus of a case's files, sound and broken, and with each what must become of it.

    python -m bench.corpus --documents 1000 --seed 7 --to DIR     makes it
    python -m bench.corpus_reading --documents 1000               reads it through everything

The same seed makes the same bytes. Nothing here asks the code that reads files what a file
is: the truth is written down by what makes it.
"""

"""Documents made to be handed on: searchable PDFs, and the report of a case."""

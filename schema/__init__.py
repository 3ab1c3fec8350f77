"""The leaf: what every part of ASEAGI agrees on, as pydantic models.

Depends on pydantic alone, so that a rented host can import it. One module per
subject: `ocr` (what a page says), `analysis` (what a document means), `host`
(the protocol between a host and the gateway), `failures` (what went wrong and
whether a retry helps), `lanes` (how urgent work is), `image` (what a host must run).
"""

"""What runs on a host: OCR engines, the client of `/host`, the session, the entrypoint.

Depends on `schema` and `rendering` alone. Nothing here can reach a database, a bucket
or a paid service: a host has its token and the signed links it is given.
"""

"""How the compact checkpoints were made with which docTR's engine is tested and measured.

They are a test asset: small nets trained on made pages in an hour, in docTR's own
format. docTR's pretrained weights, which production uses, are far better. See README.md.
"""

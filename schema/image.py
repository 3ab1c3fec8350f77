"""The image of a host, as far as those who rent hosts must agree with those who build it."""

CUDA = 12.8
"""The CUDA version that the image's Torch is built for; a host's driver must run it.

Offers are filtered by it, the image carries it, and a test holds `requirements/host.lock`
to it.
"""

"""A page's pixels, the same for whoever looks at it: `pages`.

For both sides: on a host an OCR engine reads what is drawn here, on the droplet the
analysis does. So it imports `schema` alone of ours, and of others only what every
machine installs: numpy, Pillow, pypdfium2.
"""

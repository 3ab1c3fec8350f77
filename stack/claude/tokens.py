"""How tokens are counted: approximations that are the same every time.

A text has a token for every four characters begun, and never none. An image has one for
every patch of 28 by 28 pixels begun, up to what the model's largest image costs. Tools and
schemas count as their JSON. Each content block is counted by itself, so counts of prefixes
add up.
"""

from math import ceil

CHARACTERS_PER_TOKEN = 4
PATCH_PIXELS = 28


def text_tokens(text: str) -> int:
    """Tokens of a text."""
    return max(1, ceil(len(text) / CHARACTERS_PER_TOKEN))


def image_tokens(width: int, height: int, *, most: int) -> int:
    """Tokens of an image, at most `most`."""
    return min(most, ceil(width / PATCH_PIXELS) * ceil(height / PATCH_PIXELS))

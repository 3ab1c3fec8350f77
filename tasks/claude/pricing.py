"""What a question costs: at most, before it is asked; exactly, when it is answered; probably.

Prices are in the block (`blocks.claude.Model`): dollars per million tokens.
"""

from decimal import ROUND_UP, Decimal
from math import ceil

from blocks.claude import BATCH_SHARE, Model
from schema.claude import Usage

MILLION = Decimal(1_000_000)
CENT_OF_A_CENT = Decimal("0.000001")
"""Charges are kept to the millionth of a dollar, rounded up."""

CHARACTERS_PER_TOKEN = 3.0
"""Of English legal text. For what is probable, never for what is at most."""


def price(usage: Usage, terms: Model, *, in_batch: bool) -> Decimal:
    """What an answer cost, by the tokens it says were used."""
    is_long = (
        terms.long_prompt_tokens is not None and usage.prompt_tokens > terms.long_prompt_tokens
    )
    dollars = (
        usage.input_tokens * terms.input
        + usage.output_tokens * terms.output
        + usage.cache_write_tokens * terms.cache_write
        + usage.cache_read_tokens * terms.cache_read
    ) / MILLION
    return _rounded(
        dollars * (terms.long_prompt_factor if is_long else 1) * (BATCH_SHARE if in_batch else 1)
    )


def most(
    *, text_bytes: int, pictures: int, answer_tokens: int, terms: Model, in_batch: bool
) -> Decimal:
    """What a question can cost at most.

    No token is shorter than a byte, no picture more than the model's limit, no answer longer
    than is allowed; what is read may be written into the cache, or come from it.
    """
    prompt = text_bytes + pictures * terms.picture_tokens
    dearest = max(terms.input, terms.cache_write, terms.cache_read)
    is_long = terms.long_prompt_tokens is not None and prompt > terms.long_prompt_tokens
    dollars = (prompt * dearest + answer_tokens * terms.output) / MILLION
    return _rounded(
        dollars * (terms.long_prompt_factor if is_long else 1) * (BATCH_SHARE if in_batch else 1)
    )


def tokens_of(text_characters: int) -> int:
    """About how many tokens a text has."""
    return ceil(text_characters / CHARACTERS_PER_TOKEN)


def _rounded(dollars: Decimal) -> Decimal:
    return dollars.quantize(CENT_OF_A_CENT, rounding=ROUND_UP)

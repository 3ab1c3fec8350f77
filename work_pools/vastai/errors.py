"""What can go wrong with the marketplace, named by what to do next.

    MarketplaceError
    ├── OfferGone      take the next offer
    ├── HostFailed     destroy, avoid this machine, take another
    ├── Blind          the listing cannot be trusted: do nothing, look again
    ├── NotDestroyed   the host may still cost money: go on trying, raise an alarm
    ├── Unavailable    no usable answer: the same call may succeed later
    ├── CreditGone     the account cannot pay: rent nothing, tell the owner
    └── BadKey         the account's key does not work: a person must mend it

Each is also one of the project's own errors (`schema.failures`), so a caller that knows
nothing of marketplaces still does the right thing. No message holds a secret.
"""

from schema.failures import AseagiError, Misconfigured, MoneyStops, RetryLater


class MarketplaceError(AseagiError):
    """Base of what can go wrong between us and the marketplace."""


class OfferGone(MarketplaceError):
    """Somebody else took the offer, or it was withdrawn: take the next one."""


class HostFailed(MarketplaceError):
    """A rented host cannot do the work: destroy it, avoid its machine, take another."""


class Blind(MarketplaceError, RetryLater):
    """What is rented cannot be known now: conclude nothing, do nothing, look again."""


class NotDestroyed(MarketplaceError, RetryLater):
    """A destroy was not confirmed: the host may still cost money, so go on trying."""


class Unavailable(MarketplaceError, RetryLater):
    """The marketplace gave no answer that can be used; the same call may succeed later."""


class CreditGone(MarketplaceError, MoneyStops):
    """The account's credit or spending limit is used up: rent nothing, tell the owner."""


class BadKey(MarketplaceError, Misconfigured):
    """The marketplace does not accept the account's key, or the key lacks a permission."""

"""The part of lxml (untyped) that is used here."""

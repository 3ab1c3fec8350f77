"""What is said of a document on which nothing is written."""

from schema.analysis import Analysis, DocumentType
from tasks.offline_analyst import ANALYST


def analysis_of_blank(page_count: int) -> Analysis:
    """That it is blank, and nothing else: nobody is asked about it."""
    one = page_count == 1
    return Analysis(
        analyst=ANALYST,
        type=DocumentType.OTHER,
        subtype="blank",
        title="Blank page" if one else f"{page_count:,} blank pages",
        summary="Nothing is written on its page." if one else "Nothing is written on its pages.",
        language="und",
        confidence=0.9,
    )

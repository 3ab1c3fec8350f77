"""Answerers of tests."""

import time

from stack.claude.answering import Question


class Echo:
    """Shouts what it was told."""

    def answer(self, question: Question) -> object:
        return " ".join(question.texts).upper()


class Slow(Echo):
    """Takes its time, so that there is time for a kill."""

    def answer(self, question: Question) -> object:
        time.sleep(0.01)
        return super().answer(question)


class Broken:
    """Cannot answer."""

    def answer(self, question: Question) -> object:
        raise ValueError(question.model)

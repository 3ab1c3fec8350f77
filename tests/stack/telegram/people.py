"""A rehearsal of Telegram as its users see it: they send, and read what the bot says."""

import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageDraw, ImageFont

from stack.servers import reserve_ports
from stack.telegram import RunningTelegram, Settings, start_telegram
from tests.stack.rehearsals import client_with

_numbers = count(int(time.time()) % 1_000_000 * 1_000)


@dataclass(frozen=True)
class Sent:
    """What a user sent."""

    update_id: int
    message_id: int


@dataclass
class Town:
    """A running rehearsal, and its own paths."""

    running: RunningTelegram
    control: httpx.Client

    @property
    def url(self) -> str:
        return self.running.url

    def person(self, name: str = "Ada") -> "Person":
        """Somebody new."""
        return Person(self, next(_numbers) + 1, name)

    def bot(self, method: str, **parameters: Any) -> httpx.Response:
        """Call a method as the bot, with JSON."""
        address = f"{self.url}/bot{self.running.bot_token}/{method}"
        return httpx.post(address, json=parameters, timeout=20, trust_env=False)

    def deliver(
        self, updates: Sequence[int], *, times: int = 1, at_once: bool = False
    ) -> list[int]:
        body = {"updates": list(updates), "times": times, "at_once": at_once}
        answer = self.control.post("/rehearsal/deliver", json=body)
        return answer.raise_for_status().json()["statuses"]

    def order(self, *faults: Mapping[str, object]) -> None:
        self.control.post("/rehearsal/faults", json=list(faults)).raise_for_status()

    def no_faults(self) -> None:
        self.control.delete("/rehearsal/faults").raise_for_status()

    def struck(self) -> int:
        """How often faults struck that were ordered."""
        return sum(one["struck"] for one in self.control.get("/rehearsal/faults").json()["faults"])


@dataclass
class Person:
    """Somebody with a chat with the bot."""

    town: Town
    id: int
    name: str

    def send(self, kind: str, content: bytes = b"", **what: Any) -> Sent:
        query = {"user": self.id, "name": self.name, "kind": kind, **what}
        answer = self.town.control.post("/rehearsal/send", params=query, content=content)
        assert answer.status_code == 200, answer.text
        return Sent(**answer.json())

    def writes(self, text: str) -> Sent:
        return self.send("text", text=text)

    def photographs(self, content: bytes, **what: Any) -> Sent:
        return self.send("photo", content, **what)

    def hands_in(self, content: bytes, file_name: str, **what: Any) -> Sent:
        return self.send("document", content, file_name=file_name, **what)

    def chat(self) -> list[dict[str, Any]]:
        answer = self.town.control.get(f"/rehearsal/chats/{self.id}")
        return answer.raise_for_status().json()["messages"]

    def heard(self) -> list[dict[str, Any]]:
        """What the bot said."""
        return [one for one in self.chat() if one["by_bot"]]

    def texts(self) -> list[str]:
        return [one["text"] for one in self.heard()]

    def history(self, number: int = 0) -> list[str]:
        """All that a message of the bot ever said."""
        return [one["text"] for one in self.heard()[number]["history"]]

    def links(self) -> list[str]:
        return [
            entity["url"]
            for one in self.heard()
            for entity in one.get("entities", [])
            if entity["type"] == "text_link"
        ]


def photo(number: int, *, size: tuple[int, int] = (850, 1100), orientation: int = 1) -> bytes:
    """A photo of a letter; every number is another content."""
    image = Image.new("RGB", size, "white")
    drawing = ImageDraw.Draw(image)
    drawing.multiline_text(
        (60, 60),
        f"LETTER No. {number}\n\nMarch {number % 28 + 1}, 2024\n\nDear Ms. Smith,",
        fill="black",
        font=ImageFont.load_default(30),
    )
    drawing.rectangle((0, 0, size[0] // 4, size[1] // 8), fill="red")
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(out, "JPEG", quality=80, exif=exif)
    return out.getvalue()


def settings_in(folder: Path, **changes: Any) -> Settings:
    port = reserve_ports(folder, ("telegram",))["telegram"]
    return Settings(state_dir=folder, port=port, **changes)


def open_town(settings: Settings) -> Town:
    running = start_telegram(settings)
    return Town(running, client_with(running.rehearsal_key, running.url))

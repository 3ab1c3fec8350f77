"""The rehearsal answers, refuses, delivers and fails as the Bot API does."""

import httpx
import pytest
from telegram import Bot, LinkPreviewOptions, ReplyParameters
from telegram.error import BadRequest, Forbidden, InvalidToken, NetworkError, RetryAfter
from telegram.request import HTTPXRequest

from tests.stack.rehearsals import wait_until
from tests.stack.telegram.conftest import Refusal, Webhook
from tests.stack.telegram.people import Person, Town, photo


def library(town: Town, token: str | None = None) -> Bot:
    """python-telegram-bot, pointed at it."""
    request = HTTPXRequest(httpx_kwargs={"trust_env": False})
    return Bot(
        token or town.running.bot_token,
        base_url=f"{town.url}/bot",
        base_file_url=f"{town.url}/file/bot",
        request=request,
        get_updates_request=request,
    )


async def test_the_library_sends_edits_and_reads_a_file(town: Town, ada: Person) -> None:
    content = photo(1)
    sent = ada.photographs(content)
    async with library(town) as bot:
        assert bot.username == "aseagi_rehearsal_bot"
        message = await bot.send_message(
            ada.id,
            "<b>Bold</b> &amp; <i>slanted</i>",
            parse_mode="HTML",
            reply_parameters=ReplyParameters(sent.message_id),
            link_preview_options=LinkPreviewOptions(is_disabled=True),
        )
        assert message.text == "Bold & slanted"
        assert [(one.type, one.offset, one.length) for one in message.entities] == [
            ("bold", 0, 4),
            ("italic", 7, 7),
        ]
        assert message.reply_to_message is not None
        assert message.reply_to_message.message_id == sent.message_id
        await bot.edit_message_text("changed", chat_id=ada.id, message_id=message.message_id)
        assert ada.history() == ["Bold & slanted", "changed"]
        [heard] = [one for one in ada.chat() if "photo" in one]
        sizes = heard["photo"]
        assert [size["width"] for size in sizes] == sorted(size["width"] for size in sizes)
        file = await bot.get_file(sizes[-1]["file_id"])
        assert bytes(await file.download_as_bytearray()) == content


async def test_the_library_raises_what_the_real_one_makes_it_raise(town: Town, ada: Person) -> None:
    async with library(town) as bot:
        with pytest.raises(BadRequest, match="Chat not found"):
            await bot.send_message(5, "nobody")
        town.order({"on": "sendMessage", "kind": "429", "seconds": 3, "chat_id": ada.id})
        with pytest.raises(RetryAfter, match="3 seconds"):
            await bot.send_message(ada.id, "too fast")
        town.order({"on": "any", "kind": "500"})
        with pytest.raises(NetworkError, match="Internal Server Error"):
            await bot.get_me()
        town.control.post("/rehearsal/block", json={"user": ada.id})
        with pytest.raises(Forbidden, match="blocked by the user"):
            await bot.send_message(ada.id, "gone")
    wrong = town.running.bot_token[:-3] + "xyz"
    with pytest.raises(InvalidToken):
        await library(town, wrong).get_me()


def test_a_wrong_token_is_401_and_what_is_no_token_404(town: Town) -> None:
    def status(token: str) -> int:
        return httpx.get(f"{town.url}/bot{token}/getMe", trust_env=False, timeout=60).status_code

    assert status(town.running.bot_token) == 200
    assert status(town.running.bot_token[:-2] + "zz") == 401
    assert status("nonsense") == 404
    assert town.bot("getUpdates").status_code == 404


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("", "message text is empty"),
        ("   \n", "message text is empty"),
        ("x" * 4097, "message is too long"),
        ("👍" * 2049, "message is too long"),
        ("<b>never closed", "can't find end tag corresponding to start tag"),
        ("<b>crossed <i>tags</b></i>", 'unmatched end tag, expected "</i>", found "</b>"'),
        ("<script>no</script>", 'unsupported start tag "script"'),
        ("a < b", "unclosed start tag"),
        ("</b>", "unexpected end tag"),
    ],
)
def test_a_message_that_is_not_valid_is_refused(
    ada: Person, refusal: Refusal, text: str, refused: str
) -> None:
    said = refusal("sendMessage", chat_id=ada.id, text=text, parse_mode="HTML")
    assert said.startswith("400 Bad Request: ")
    assert refused in said
    assert ada.heard() == []


def test_links_are_entities_and_their_addresses_are_not_counted(town: Town, ada: Person) -> None:
    text = f'<a href="https://example.org/?a=1&amp;b={"x" * 5000}">here</a> &lt;b&gt;'
    town.bot("sendMessage", chat_id=ada.id, text=text, parse_mode="html").raise_for_status()
    assert ada.texts() == ["here <b>"]
    assert ada.links() == [f"https://example.org/?a=1&b={'x' * 5000}"]


def test_an_edit_that_changes_nothing_is_refused(town: Town, ada: Person, refusal: Refusal) -> None:
    town.bot("sendMessage", chat_id=ada.id, text="one").raise_for_status()
    number = ada.heard()[0]["message_id"]
    edit = {"chat_id": ada.id, "message_id": number}
    assert "message is not modified" in refusal("editMessageText", **edit, text="one")
    assert "message to edit not found" in refusal(
        "editMessageText", chat_id=ada.id, message_id=999, text="x"
    )
    theirs = ada.chat()[0]["message_id"]
    assert "can't be edited" in refusal(
        "editMessageText", chat_id=ada.id, message_id=theirs, text="x"
    )
    assert "message to be replied not found" in refusal(
        "sendMessage", chat_id=ada.id, text="x", reply_parameters={"message_id": 999}
    )


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("http://example.org/telegram", "An HTTPS URL must be provided"),
        ("https://example.org:9000/telegram", "only on ports 80, 88, 443 or 8443"),
        ("https://", "invalid webhook URL"),
    ],
)
def test_a_webhook_wants_https_on_its_ports(refusal: Refusal, url: str, refused: str) -> None:
    assert refused in refusal("setWebhook", url=url)


def test_a_webhooks_secret_has_only_certain_characters(refusal: Refusal) -> None:
    said = refusal("setWebhook", url="https://example.org/", secret_token="not so!")
    assert "unallowed characters" in said


def test_files_over_20_mb_are_handed_to_no_bot(ada: Person, refusal: Refusal) -> None:
    ada.hands_in(b"", "huge.pdf", size=20 * 1024 * 1024 + 1)
    huge = ada.chat()[-1]["document"]
    assert "file is too big" in refusal("getFile", file_id=huge["file_id"])
    assert "wrong file_id" in refusal("getFile", file_id="unknown")


def test_updates_are_delivered_in_order_with_the_secret_until_they_are_taken(
    town: Town, ada: Person, webhook: Webhook
) -> None:
    webhook.answers = [500, 404, 200]
    set_it = town.bot("setWebhook", url=webhook.url, secret_token="s-e_cret1")
    assert set_it.json() == {"ok": True, "result": True}
    sent = [ada.writes("one").update_id, ada.writes("two").update_id]
    wait_until(lambda: webhook.numbers()[-1:] == sent[-1:])
    assert {secret for secret, _ in webhook.heard} == {"s-e_cret1"}
    first = webhook.numbers()[0]
    assert webhook.numbers()[:3] == [first] * 3
    assert sorted(set(webhook.numbers())) == [*range(first, sent[1] + 1)]
    wait_until(lambda: town.bot("getWebhookInfo").json()["result"]["pending_update_count"] == 0)
    info = town.bot("getWebhookInfo").json()["result"]
    assert "Wrong response from the webhook" in info["last_error_message"]


def test_an_update_can_be_delivered_again_and_at_once(
    town: Town, ada: Person, webhook: Webhook
) -> None:
    town.bot("setWebhook", url=webhook.url)
    held = ada.send("text", text="held", held=True).update_id
    assert town.deliver([held], times=5, at_once=True) == [200] * 5
    assert webhook.numbers().count(held) == 5


def test_what_was_done_before_the_answer_was_lost_is_done(town: Town, ada: Person) -> None:
    town.order({"on": "sendMessage", "kind": "drop-after"}, {"on": "sendMessage", "kind": "drop"})
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            town.bot("sendMessage", chat_id=ada.id, text="lost?")
    assert ada.texts() == ["lost?"]
    town.order({"on": "sendMessage", "kind": "500-after"})
    assert town.bot("sendMessage", chat_id=ada.id, text="and this").status_code == 500
    assert ada.texts() == ["lost?", "and this"]


def test_chats_survive_a_power_cut(town: Town, ada: Person) -> None:
    town.bot("sendMessage", chat_id=ada.id, text="before").raise_for_status()
    town.running.kill()
    town.running.child.start()
    town.running.wait_ready()
    assert ada.texts() == ["before"]


def test_commands_have_names_of_small_letters(town: Town, refusal: Refusal) -> None:
    good = [{"command": "status", "description": "What waits"}]
    assert town.bot("setMyCommands", commands=good).json()["result"] is True
    assert town.bot("getMyCommands").json()["result"] == good
    bad = [{"command": "Status", "description": "What waits"}]
    assert "BOT_COMMAND_INVALID" in refusal("setMyCommands", commands=bad)


def test_its_own_paths_are_for_who_has_its_key(town: Town) -> None:
    assert (
        httpx.get(f"{town.url}/rehearsal/chats/1", trust_env=False, timeout=60).status_code == 404
    )
    assert httpx.get(f"{town.url}/rehearsal/health", trust_env=False, timeout=60).status_code == 200

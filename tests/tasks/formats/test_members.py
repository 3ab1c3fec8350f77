"""Files in files: taken out within bounds, by safe names, each for itself."""

import base64
import io
import zipfile
import zlib
from email.message import EmailMessage
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.inbox import inbox_key, matter_of, member_key
from schema.failures import BadInput
from tasks.formats import archive, members
from tasks.formats.members import LONGEST_NAME, MOST_FOLDERS, safe_name
from tasks.inspected import MAX_DEPTH, Inspection, Room
from tasks.inspection import inspect
from tests.tasks.formats.compound import Attached, message


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "members").mkdir()
    return tmp_path / "members"


def looked(path: Path, content: bytes, folder: Path, room: Room | None = None) -> Inspection:
    path.write_bytes(content)
    return inspect(path, folder, room)


def contents(found: Inspection, folder: Path) -> dict[str, bytes | str | None]:
    """Each member by name: its bytes, or why it was refused."""
    return {
        one.name: (folder / one.file).read_bytes() if one.file else one.refused
        for one in found.members
    }


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as written:
        for name, content in files.items():
            written.writestr(name, content)
    return out.getvalue()


# Names


@given(st.text(max_size=300), st.text(st.sampled_from("./\\ C:ab\x00\u202e"), max_size=60))
def test_no_name_leads_out_of_its_folder_and_each_can_be_kept(wild: str, mean: str) -> None:
    for name in (wild, mean, f"{mean}/{wild}"):
        safe = PurePosixPath(safe_name(name, number=3))
        assert not safe.is_absolute()
        assert 1 <= len(safe.parts) <= MOST_FOLDERS
        assert not {"", ".", ".."} & set(safe.parts)
        assert all(len(part) <= LONGEST_NAME for part in safe.parts)
        inbox_key(str(safe.name), "matter")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\letters\\a.pdf", "letters/a.pdf"),
        ("a/./b/../c.pdf", "a/b/c.pdf"),
        ("bell\x07.pdf", "bell_.pdf"),
        ("..", "file 7"),
        ("", "file 7"),
        ("x" * 200 + ".pdf", "x" * 116 + ".pdf"),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name, number=7) == safe


@pytest.mark.parametrize(
    ("container", "name", "key"),
    [
        ("raw/smith/in/a.zip", "b/c.pdf", "uploads/smith/in/a.zip/b/c.pdf"),
        ("uploads/smith/a.eml", "c.pdf", "uploads/smith/a.eml/c.pdf"),
        ("uploads/a.zip", "b/c.pdf", "uploads/a - c.pdf"),
        ("raw/smith/" + "x" * 900 + ".zip", "b/c.pdf", "uploads/smith/c.pdf"),
        ("raw/smith/a\\b.zip", "c.pdf", "uploads/smith/c.pdf"),
    ],
)
def test_a_member_stays_in_its_containers_matter(container: str, name: str, key: str) -> None:
    assert member_key(container, name) == key
    assert matter_of(key) == matter_of(container)


# ZIP


def test_members_of_a_zip_are_taken_out_and_what_systems_leave_is_not(
    tmp_path: Path, folder: Path
) -> None:
    files = {
        "a/letter.txt": b"Dear Bob",
        "../../escape.txt": b"out",
        "unknown.bin": b"\x00\x01",
        "a/": b"",
        "__MACOSX/a/._letter.txt": b"x",
        "a/.DS_Store": b"x",
    }
    found = looked(tmp_path / "z", packed(files), folder)
    assert (found.media_type, found.pages) == ("application/zip", ())
    assert contents(found, folder) == {
        "a/letter.txt": b"Dear Bob",
        "escape.txt": b"out",
        "unknown.bin": b"\x00\x01",
    }
    assert {one.parent for one in folder.iterdir()} == {folder}
    assert {one.name for one in tmp_path.iterdir()} == {"z", "members"}


def test_names_in_utf_8_that_nobody_declared_are_read(tmp_path: Path, folder: Path) -> None:
    # As other programs write them: not declared, so Python is made to forget that it did.
    data = packed({"Mül.txt": b"x"})
    for at in (6, data.index(b"PK\x01\x02") + 8):
        data = data[:at] + b"\0\0" + data[at + 2 :]
    assert list(contents(looked(tmp_path / "z", data, folder), folder)) == ["Mül.txt"]


def test_one_bad_member_does_not_stop_its_siblings(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "RATIO_COUNTS_FROM_BYTES", 100_000)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as written:
        written.writestr("hurt.txt", b"as it was")
        written.writestr("bomb.txt", b"0" * 1_000_000, zipfile.ZIP_DEFLATED)
        written.writestr("good.txt", b"Dear Bob")
    hurt = out.getvalue().replace(b"as it was", b"as it is!")
    told = contents(looked(tmp_path / "z", hurt, folder), folder)
    assert told["hurt.txt"] == "It is damaged in the ZIP."
    assert "packed to less than" in str(told["bomb.txt"])
    assert told["good.txt"] == b"Dear Bob"


def test_sizes_that_lie_are_not_believed(tmp_path: Path, folder: Path) -> None:
    data = packed({"a.txt": b"x" * 5000, "b.txt": b"fine"})
    size = (5000).to_bytes(4, "little")
    lying = data.replace(size, (10).to_bytes(4, "little"))
    told = contents(looked(tmp_path / "z", lying, folder), folder)
    assert told == {"a.txt": "It is damaged in the ZIP.", "b.txt": b"fine"}


def test_no_more_is_taken_out_than_there_is_room_for(tmp_path: Path, folder: Path) -> None:
    files = {f"{n}.txt": bytes([65 + n]) * 100 for n in range(4)}
    found = looked(tmp_path / "z", packed(files), folder, Room(members=2))
    assert [one.refused for one in found.members] == [None, None, members.NO_ROOM, members.NO_ROOM]
    assert [one.name for one in found.members][2:] == ["2.txt", "and 1 more file"]
    found = looked(tmp_path / "z", packed(files), folder, Room(members=1))
    assert [one.name for one in found.members] == ["0.txt", "1.txt", "and 2 more files"]
    found = looked(tmp_path / "z", packed(files), folder, Room(members_bytes=250))
    assert [one.refused is None for one in found.members] == [True, True, False, False]
    with pytest.raises(BadInput, match=f"more than {MAX_DEPTH} containers"):
        looked(tmp_path / "z", packed(files), folder, Room(depth=MAX_DEPTH))


def test_a_zip_of_very_many_files_is_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_ENTRIES", 3)
    with pytest.raises(BadInput, match="holds more than 3 files"):
        looked(tmp_path / "z", packed({f"{n}.txt": b"x" for n in range(4)}), folder)


def encrypted(data: bytes) -> bytes:
    """With the flag that says so, in both places that tell of the one member."""
    for at in (6, data.index(b"PK\x01\x02") + 8):
        data = data[:at] + bytes([data[at] | 1]) + data[at + 1 :]
    return data


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encrypted(packed({"a.txt": b"secret"})), "ZIP is protected by a password"),
        (packed({}), "holds no files"),
        (packed({"__MACOSX/x": b"x"}), "holds no files"),
        (packed({"a.txt": b"x" * 900}, zipfile.ZIP_STORED)[:500], "damaged or cut off"),
    ],
)
def test_a_zip_of_which_nothing_can_be_taken_says_why(
    tmp_path: Path, folder: Path, content: bytes, reason: str
) -> None:
    with pytest.raises(BadInput, match=reason):
        looked(tmp_path / "z", content, folder)
    assert archive.PROTECTED.endswith("add the file.")


# E-mails


def mail(**headers: str) -> EmailMessage:
    made = EmailMessage()
    for name, value in {
        "From": "Ann Smith <ann@example.org>",
        "To": "bob@example.org",
        "Date": "Mon, 04 Mar 2024 09:30:00 +0000",
        "Subject": "Räumung",
        "Message-ID": "<1@example.org>",
        **headers,
    }.items():
        made[name] = value
    return made


def test_an_e_mail_is_its_headers_its_text_and_its_attachments(
    tmp_path: Path, folder: Path
) -> None:
    inner = mail(Subject="inner/one")
    inner.set_content("inside")
    sent = mail(Cc="carl@example.org")
    sent.set_content("Dear Bob,\n\nsee attached.\n")
    sent.add_alternative('<p>Dear Bob <img src="cid:logo"></p>', subtype="html")
    sent.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="Räumung.pdf")
    sent.add_attachment(
        b"small", maintype="image", subtype="png", cid="<logo>", disposition="inline"
    )
    sent.add_attachment(
        b"p" * 70_000, maintype="image", subtype="jpeg", filename="photo.jpg", cid="<photo>"
    )
    sent.add_attachment(inner)
    found = looked(tmp_path / "m", sent.as_bytes(), folder)
    assert found.media_type == "message/rfc822"
    assert found.source == "file"
    assert found.pages == (
        "From: Ann Smith <ann@example.org>\nTo: bob@example.org\nCc: carl@example.org\n"
        "Date: Mon, 04 Mar 2024 09:30:00 +0000\nSubject: Räumung\n"
        "Attachments: Räumung.pdf, photo.jpg, inner_one.eml\n\nDear Bob,\n\nsee attached.",
    )
    told = contents(found, folder)
    assert list(told) == ["Räumung.pdf", "photo.jpg", "inner_one.eml"]
    assert "inside" in str(told["inner_one.eml"])


def test_an_e_mail_of_html_alone_is_read_as_text(tmp_path: Path, folder: Path) -> None:
    sent = mail()
    sent.set_content("<p>Dear <b>Bob</b></p><script>x()</script>", subtype="html")
    found = looked(tmp_path / "m", sent.as_bytes(), folder)
    assert (found.pages[0] or "").endswith("Subject: Räumung\n\nDear Bob")


@pytest.mark.parametrize(
    "content",
    [
        b"From: \xff\xfe <\r\nMessage-ID: x\r\nSubject: =?utf-8?B?!!!?=\r\n\r\nhello",
        b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nhello",
        b"MIME-Version: 1.0\nContent-Type: text/plain; charset=nonsense\n\nhello \xe4",
        b"MIME-Version: 1.0\nTo: a\nContent-Type: text/plain\n"
        b"Content-Transfer-Encoding: base64\n\naGVsbG8",
    ],
)
def test_a_broken_e_mail_is_read_as_far_as_it_goes(
    tmp_path: Path, folder: Path, content: bytes
) -> None:
    assert "hello" in (looked(tmp_path / "m", content, folder).pages[0] or "")


HEADERS = "From: ann@example.org\nMessage-ID: <1@example.org>\nMIME-Version: 1.0\n"


def part(kind: str, content: str, *headers: str) -> str:
    """A part of an e-mail, or with `HEADERS` before it one of a single part."""
    return "\n".join((f"Content-Type: {kind}", *headers, "", content))


def multipart(kind: str, *parts: str, end: bool = True) -> str:
    """A part of parts; without its `end` as if it had been cut off."""
    mark = f"{kind}-{zlib.crc32(repr(parts).encode())}"
    inside = "".join(f"\n--{mark}\n{one}" for one in parts)
    ended = f"\n--{mark}--\n" if end else ""
    return part(f'multipart/{kind}; boundary="{mark}"', f"{inside}{ended}")


PLAIN, MARKUP = part("text/plain", "Dear Bob"), part("text/html", "<p>Dear <b>Bob</b></p>")
ATTACHED = "Content-Disposition: attachment; filename=a.pdf"
LEASE = part("application/pdf", "lease", ATTACHED)
LOGO = part("image/png", "logo", "Content-ID: <logo>")
STYLE = part("text/css", "p {}", "Content-Location: https://example.org/a.css")
SHOWING = part("text/html", '<p>Dear Bob <img src="cid:logo"></p>')


@pytest.mark.parametrize(
    ("content", "text", "names"),
    [
        pytest.param(
            multipart("mixed", part("text/html", "<!-- x -->"), PLAIN, LEASE),
            "Dear Bob",
            ["a.pdf"],
            id="HTML that shows nothing beside text",
        ),
        pytest.param(
            multipart(
                "mixed",
                multipart("alternative", PLAIN, MARKUP),
                LEASE,
                multipart("alternative", part("text/plain", "Yours,"), part("text/html", "Yours,")),
            ),
            "Dear Bob\n\nYours,",
            ["a.pdf"],
            id="text after an attachment",
        ),
        pytest.param(
            multipart("alternative", PLAIN, multipart("related", SHOWING, LOGO)),
            "Dear Bob",
            [],
            id="HTML with its pictures beside text",
        ),
        pytest.param(
            multipart("alternative", PLAIN, multipart("mixed", MARKUP, LEASE, MARKUP)),
            "Dear Bob",
            ["a.pdf"],
            id="HTML around an attachment beside text",
        ),
        pytest.param(
            multipart("alternative", part("text/plain", "\n "), MARKUP),
            "Dear Bob",
            [],
            id="blank text beside HTML",
        ),
        pytest.param(
            multipart("mixed", MARKUP, part("text/plain", "A list.")),
            "Dear Bob\n\nA list.",
            [],
            id="HTML and a footer",
        ),
        pytest.param(
            part("text/plain", "lease", "Content-Disposition: attachment; filename=a.txt"),
            "",
            ["a.txt"],
            id="nothing but an attached text",
        ),
        pytest.param(
            part("text/calendar", "BEGIN:VCALENDAR"), "", ["attachment 1.ics"], id="an invitation"
        ),
        pytest.param(
            multipart(
                "report",
                PLAIN,
                part("message/disposition-notification", "Disposition: displayed\n"),
                part("message/delivery-status", "Reporting-MTA: dns;x\n\nStatus: 5.1.1\n"),
            ),
            "Dear Bob\n\nDisposition: displayed\n\nReporting-MTA: dns;x\n\n\nStatus: 5.1.1",
            [],
            id="a receipt",
        ),
        pytest.param(
            multipart("mixed", PLAIN, LOGO),
            "Dear Bob",
            ["attachment 1.png"],
            id="a small picture that no HTML shows",
        ),
        pytest.param(
            multipart("related", MARKUP, STYLE, LEASE), "Dear Bob", ["a.pdf"], id="a saved page"
        ),
        pytest.param(
            multipart("related", MARKUP, part("application/pdf", "x", "Content-Location: a")),
            "Dear Bob",
            ["attachment 1.pdf"],
            id="a PDF that was fetched with a page",
        ),
        pytest.param(
            part('text/plain; name="body.txt"', "Dear Bob"), "Dear Bob", [], id="a text with a name"
        ),
        pytest.param(
            multipart(
                "mixed",
                multipart(
                    "alternative",
                    part("text/plain", "Dear Bob", "Content-Disposition: inline; filename=a.txt"),
                    part('text/html; name="a.html"', "<p>Dear Bob</p>"),
                ),
                LEASE,
            ),
            "Dear Bob",
            ["a.pdf"],
            id="two ways with names",
        ),
    ],
)
def test_an_e_mail_is_read_once_and_whole_however_its_parts_lie(
    tmp_path: Path, folder: Path, content: str, text: str, names: list[str]
) -> None:
    found = looked(tmp_path / "m", f"{HEADERS}{content}".encode(), folder)
    listed = f"\nAttachments: {', '.join(names)}" if names else ""
    assert found.pages == (f"From: ann@example.org{listed}\n\n{text}".strip(),)
    assert [one.name for one in found.members if one.refused is None] == names


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + f"{HEADERS}{PLAIN}".encode(),
        f"{HEADERS}{PLAIN}".encode("utf-16"),
        f"\r\n\r\n{HEADERS}{PLAIN}".encode(),
    ],
)
def test_what_stands_before_an_e_mail_does_not_hide_its_headers(
    tmp_path: Path, folder: Path, content: bytes
) -> None:
    assert looked(tmp_path / "m", content, folder).pages == ("From: ann@example.org\n\nDear Bob",)


def test_an_e_mail_attached_in_base64_is_an_e_mail(tmp_path: Path, folder: Path) -> None:
    inner = f"Subject: inner\n{HEADERS}{PLAIN}"
    encoded = base64.encodebytes(inner.encode()).decode()
    wrapped = part("message/rfc822", encoded, "Content-Transfer-Encoding: base64")
    sent = f"{HEADERS}{multipart('mixed', PLAIN, wrapped)}"
    found = looked(tmp_path / "m", sent.encode(), folder)
    assert contents(found, folder) == {"inner.eml": inner.encode()}


def test_an_e_mail_cut_off_in_an_attachment_fails_whole(tmp_path: Path, folder: Path) -> None:
    cut = f"{HEADERS}{multipart('mixed', PLAIN, LEASE, end=False)}"
    with pytest.raises(BadInput, match="cut off in an attachment"):
        looked(tmp_path / "m", cut.encode(), folder)


@pytest.mark.parametrize(
    "content",
    [
        multipart("mixed", LEASE, PLAIN, end=False),
        multipart("mixed", LEASE, part("message/delivery-status", "Status: 5.1.1\n"), end=False),
        multipart("mixed", multipart("related", SHOWING, LEASE), end=False),
        multipart("mixed", PLAIN, f"{LEASE}=", end=False),
    ],
)
def test_an_e_mail_whose_attachments_have_their_ends_is_read(
    tmp_path: Path, folder: Path, content: str
) -> None:
    found = looked(tmp_path / "m", f"{HEADERS}{content}".encode(), folder)
    assert [one.name for one in found.members] == ["a.pdf"]


def test_a_mailbox_is_a_container_of_its_e_mails(tmp_path: Path, folder: Path) -> None:
    line = "From ann@example.org Mon Mar  4 09:30:00 2024\n"
    mails = [
        f"Subject: =?utf-8?q?R=C3=A4umung/1?=\n{HEADERS}{PLAIN}\n\nFrom here: there\n",
        f"{HEADERS}{PLAIN}\n",
    ]
    box = "\n".join(f"{line}{one}" for one in mails)
    for content in (box, box.replace("\n", "\r\n")):
        found = looked(tmp_path / "m", content.encode(), folder)
        assert (found.media_type, found.pages) == ("message/rfc822", ("A mailbox of 2 e-mails.",))
        told = contents(found, folder)
        assert list(told) == ["Räumung_1.eml", "e-mail 2.eml"]
        assert [str(one).replace("\\r", "") for one in told.values()] == [
            str(one.encode()) for one in mails
        ]
    with pytest.raises(BadInput, match=f"more than {MAX_DEPTH} containers"):
        looked(tmp_path / "m", box.encode(), folder, Room(depth=MAX_DEPTH))


def test_attachments_lie_too_deep_but_the_e_mail_is_read(tmp_path: Path, folder: Path) -> None:
    sent = mail()
    sent.set_content("Dear Bob")
    sent.add_attachment(b"x", maintype="application", subtype="pdf", filename="a.pdf")
    found = looked(tmp_path / "m", sent.as_bytes(), folder, Room(depth=MAX_DEPTH))
    assert len(found.pages) == 1
    assert [one.refused for one in found.members] == [members.TOO_DEEP]


# Outlook


def test_an_outlook_message_is_its_headers_its_text_and_its_attachments(
    tmp_path: Path, folder: Path
) -> None:
    large = b"%PDF-1.7 " * 1000
    sent = message(
        subject="Räumung",
        body="Dear Bob,\r\nplease sign.",
        html=b'<p>Dear Bob, <img src="cid:logo">',
        recipients=[
            ("Bob Jones", "bob@example.org", 1),
            ("Cy", "cy@example.org", 2),
            ("Di", "di@example.org", 0x10000003),
        ],
        attached=[
            Attached("lease.pdf", large),
            Attached("note.txt", b"small"),
            Attached("inner.msg", None),
            Attached("logo.png", b"x", content_id="logo", mime_type="image/png"),
            Attached("photo.png", b"x", content_id="photo", mime_type="image/png"),
        ],
    )
    found = looked(tmp_path / "m", sent, folder)
    assert found.pages == (
        'From: "Ann Smith" <ann@example.org>\nTo: Bob Jones <bob@example.org>\n'
        "Cc: Cy <cy@example.org>\nBcc: Di <di@example.org>\n"
        "Date: Mon, 04 Mar 2024 09:30:00 +0000\nSubject: Räumung\n"
        "Attachments: lease.pdf, note.txt, inner.msg, photo.png\n\nDear Bob,\nplease sign.",
    )
    told = contents(found, folder)
    assert (told["lease.pdf"], told["note.txt"]) == (large, b"small")
    assert "inside an Outlook message" in str(told["inner.msg"])


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (message(html="<p>Grüße aus <b>Köln</b></p>".encode()), "Grüße aus Köln"),
        (message(html="<p>Grüße aus <b>Köln</b></p>".encode("cp1252")), "Grüße aus Köln"),
        (message(html=b"<!-- x -->"), "Settlement"),
        (message(ansi_body="Grüße aus Köln".encode("cp1252")), "Grüße aus Köln"),
        (message(rtf=b"x"), "which it has as RTF alone. Save it as PDF.]"),
        (message(rtf=b"x", body="Grüße"), "Grüße"),
    ],
)
def test_the_text_of_an_outlook_message_is_found_however_it_is_kept(
    tmp_path: Path, folder: Path, sent: bytes, text: str
) -> None:
    assert (looked(tmp_path / "m", sent, folder).pages[0] or "").endswith(text)


def test_a_small_picture_that_rtf_may_show_is_taken_for_shown(tmp_path: Path, folder: Path) -> None:
    logo = Attached("logo.png", b"x", content_id="logo", mime_type="image/png")
    assert looked(tmp_path / "m", message(rtf=b"x", attached=[logo]), folder).members == ()


def test_an_outlook_message_that_is_cut_off_is_damaged(tmp_path: Path, folder: Path) -> None:
    whole = message(body="Dear Bob", attached=[Attached("a.pdf", b"x" * 60_000)])
    with pytest.raises(BadInput, match="damaged"):
        looked(tmp_path / "m", whole[:20_000], folder)

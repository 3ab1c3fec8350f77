"""Which text layers are believed: those that say what a person sees."""

import io
from pathlib import Path

import pytest

from tasks.inspection import inspect
from tasks.text_layer import TextLayer, has_wrong_letters, is_born_digital

LETTERS = "abcdefghijklmnopqrstuvwxyz"

TEXTS = {
    "English": "Notice is hereby given that the annual meeting of shareholders will take place at "
    "the offices of the company. Any person who objects must file a written statement with the "
    "clerk before the hearing, and serve a copy upon every other party.",
    "German": "Hiermit kündigen wir das Mietverhältnis fristgerecht zum Ende des Monats. Bitte "
    "bestätigen Sie uns den Eingang dieses Schreibens sowie den Zeitpunkt der Wohnungsübergabe, "
    "damit wir einen gemeinsamen Termin vereinbaren können.",
    "French": "Par la présente, nous vous informons que votre réclamation a bien été enregistrée "
    "sous la référence ci-dessus. Un conseiller prendra contact avec vous dans les meilleurs "
    "délais afin d'examiner les pièces justificatives.",
    "Spanish": "Por medio de la presente le comunicamos que su solicitud ha sido recibida y será "
    "examinada por nuestro departamento jurídico. Le rogamos que nos envíe una copia del "
    "certificado antes de la fecha señalada.",
    "Polish": "Uprzejmie informujemy, że wniosek został przyjęty do rozpatrzenia. Prosimy o "
    "dostarczenie brakujących dokumentów w terminie czternastu dni od otrzymania niniejszego "
    "pisma, pod rygorem pozostawienia sprawy bez rozpoznania.",
    "Finnish": "Ilmoitamme täten, että hakemuksenne on vastaanotettu ja siirretty käsiteltäväksi. "
    "Pyydämme toimittamaan puuttuvat asiakirjat kahden viikon kuluessa tämän kirjeen "
    "päiväyksestä, muuten asia jätetään tutkimatta.",
    "Turkish": "Başvurunuz alınmış olup incelenmek üzere ilgili birime iletilmiştir. Eksik "
    "belgelerin bu yazının tebliğ tarihinden itibaren on beş gün içinde tamamlanması "
    "gerekmektedir, aksi halde işlem yapılmayacaktır.",
    "Russian": "Настоящим уведомляем вас о том, что ваше заявление получено и передано на "
    "рассмотрение. Просим представить недостающие документы в течение четырнадцати дней.",
    "Japanese": "本契約に関する紛争については、東京地方裁判所を第一審の専属的合意管轄裁判所とする。"
    * 3,
    "a table": "Pos. Art.-Nr. Bezeichnung Menge Einzelpreis MwSt. Gesamt\n"
    + "\n".join(
        f"{n} KX-{n * 37} Dichtung DN{n} {n} Stk. {n * 3},50 19% {n * 9},75" for n in range(40)
    ),
    "names": "Okafor Nguyen Kowalczyk Schwarz Müller Fernández Przybylski Björnsson O'Connor "
    "MacDonald Szczepański Tkachenko Yılmaz Papadopoulos Gutiérrez Rzepka Ng Xu Zhang Wójcik "
    "Smith Jones Brown Taylor Hernandez Kowalski Dubois Rossi",
    "abbreviations": "Qty Descr Amt Subttl USD EUR Nr Pos Bez Netto Brutto PLZ Str HRB GmbH LLC "
    "Inc Ltd Co KG IBAN BIC SWIFT VAT TIN SSN DOB MRN CPT ICD Mon Tue Wed Thu Fri Sat Sun Jan Feb "
    "Mar Apr Jun Jul Aug Sep Oct Nov Dec hr min sec tel fax ext dept acct ref addr" * 2,
    "numbers": "\n".join(f"{n} 2024-03-{n % 28 + 1:02} {n * 131}.07 {n * 7}.00" for n in range(60)),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_what_people_write_is_believed(kind: str) -> None:
    for text in (TEXTS[kind], TEXTS[kind].upper()):
        assert is_born_digital(TextLayer(text, picture_share=0.0))


@pytest.mark.parametrize("kind", ["English", "German", "French", "Spanish", "Polish", "Finnish"])
def test_shifted_letters_are_not_believed(kind: str) -> None:
    # As a font without a table of its letters gives them: by their number in the font.
    glyphs = "".join(chr(ord(char) - 29) if " " < char < "\x7f" else char for char in TEXTS[kind])
    rolled = LETTERS[3:] + LETTERS[:3]
    assert has_wrong_letters(TEXTS[kind].lower().translate(str.maketrans(LETTERS, rolled)))
    assert not is_born_digital(TextLayer(glyphs, picture_share=0.0))


def test_letters_at_random_are_not_believed() -> None:
    text = TEXTS["English"].translate(str.maketrans(LETTERS, "qwxzkjvbpfgmylduhtcsrnaieo"))
    assert has_wrong_letters(text)


def test_a_few_words_are_not_judged_by_their_letters() -> None:
    assert not has_wrong_letters("Hrvtzk Grnjd Xqz 12 Pvkt LLC")


def test_text_hidden_behind_a_picture_is_a_guess_that_is_not_believed() -> None:
    text = TEXTS["English"]
    assert not is_born_digital(TextLayer(text, picture_share=0.7))
    assert not is_born_digital(TextLayer(text, picture_share=0.3, hidden_share=0.9))
    assert is_born_digital(TextLayer(text, picture_share=0.3, hidden_share=0.1))
    assert is_born_digital(TextLayer(text, picture_share=0.0, hidden_share=1.0))


def page(path: Path, *, how: int, picture: bool) -> Path:
    """A PDF of one page: text drawn in that way (3 is invisible), perhaps beside a picture."""
    lines = " ".join(f"({line}) Tj T*" for line in TEXTS["English"].split(". "))
    drawn = "q 300 0 0 300 50 50 cm /Im Do Q " if picture else ""
    content = f"{drawn}BT /F 10 Tf {how} Tr 12 TL 50 700 Td {lines} ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R"
        b"/Resources<</Font<</F 5 0 R>>/XObject<</Im 6 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray"
        b"/BitsPerComponent 8/Length 1>>stream\n\x80\nendstream",
    ]
    out = io.BytesIO(b"%PDF-1.7\n")
    out.seek(0, 2)
    for number, one in enumerate(objects, start=1):
        out.write(b"%d 0 obj%s endobj\n" % (number, one))
    out.write(b"trailer<</Root 1 0 R/Size 7>>\n%%EOF\n")
    path.write_bytes(out.getvalue())
    return path


@pytest.mark.parametrize(
    ("how", "picture", "believed"), [(0, False, True), (0, True, True), (3, True, False)]
)
def test_a_page_with_hidden_text_beside_a_picture_is_read_again(
    tmp_path: Path, how: int, picture: bool, believed: bool
) -> None:
    (text,) = inspect(page(tmp_path / "a.pdf", how=how, picture=picture)).pages
    assert (text is not None) == believed

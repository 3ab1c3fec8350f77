"""Pages as law offices have them, composed from sentences, and questions whose answers are known.

A page has a caption, a paragraph of something else, its subject, and a closing; names, sums and
dates differ from page to page. The same seed gives the same pages. Nobody's real case.

Three kinds of question. *Said otherwise*: a person remembers what a page was about, in words of
their own, few of them the page's. *Exact words*: a name or a number that one page holds. *Phrase*:
words in quotation marks that stand on one page in that order and on others in another, with a
plain word beside them that is on the page for half of the questions.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

PAGES_PER_SUBJECT = 3
SENTENCES_OF_A_PARAGRAPH = 3


class Kind(StrEnum):
    """What a question has in common with its answers."""

    SAID_OTHERWISE = "said otherwise"
    EXACT_WORDS = "exact words"
    PHRASE = "phrase"


@dataclass(frozen=True, slots=True)
class Question:
    """What a person types, and which pages of the corpus answer it."""

    query: str
    kind: Kind
    answers: frozenset[int]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Pages by their number, and the questions about them."""

    pages: list[str]
    questions: list[Question]


# What is asked, then five sentences of which each page about it has three.
_SUBJECTS: tuple[tuple[str, tuple[str, str, str, str, str]], ...] = (
    (
        "landlord never gave back the money paid before moving in",
        (
            "The lessee vacated the premises on {date} and left them broom clean.",
            "To this day the security deposit of {money} has not been refunded.",
            "No itemized statement of deductions was delivered within the thirty days allowed.",
            "{a} withheld the whole deposit on the ground of alleged stains in the carpet.",
            "A forwarding address was furnished in writing when the keys were surrendered.",
        ),
    ),
    (
        "car crash because the driver was looking at his phone",
        (
            "{a} was composing a text message when his vehicle entered the intersection.",
            "The truck struck the rear of the sedan that was stopped at a red signal.",
            "Cellular records show a message sent eleven seconds before the collision.",
            "The trooper cited him for distracted operation of a motor vehicle.",
            "Neither skid marks nor evasive steering were observed at the scene.",
        ),
    ),
    (
        "worker fired after complaining about unsafe conditions",
        (
            "{a} reported the missing machine guards to the inspector on {date}.",
            "Nine days afterwards her employment was terminated without warning.",
            "Her reviews had been excellent in each of the six preceding years.",
            "The stated reason, a reduction in force, affected nobody else in the plant.",
            "Retaliation against whoever raises a safety hazard is forbidden by the labor code.",
        ),
    ),
    (
        "grandmother's last wishes were changed shortly before her death",
        (
            "The codicil is dated four days before the testatrix passed away in hospice.",
            "It disinherits both grandchildren in favor of the caretaker {a}.",
            "The decedent was heavily sedated and could no longer recognize her family.",
            "The attesting witnesses were employed by the beneficiary.",
            "Undue influence and want of testamentary capacity are alleged.",
        ),
    ),
    (
        "water coming through the roof ruined our furniture",
        (
            "Rain penetrated the ceiling of the upper bedroom on {date} and again a week later.",
            "The shingles had been installed by {a} only eight months earlier.",
            "Sofas, rugs and a piano were soaked beyond repair, at a loss of {money}.",
            "The flashing around the chimney had never been sealed.",
            "The leak was reported by telephone the same evening.",
        ),
    ),
    (
        "surgeon left something inside the patient",
        (
            "An X-ray taken on {date} revealed a retained sponge in the abdomen.",
            "The operating team had recorded the count of instruments as correct.",
            "{a} underwent a second procedure to remove the foreign object.",
            "The standard of care requires a count before the incision is closed.",
            "She suffered sepsis and remained in intensive care for twelve days.",
        ),
    ),
    (
        "father wants to see his children more often",
        (
            "{a} petitions for an enlargement of his parenting time.",
            "The present schedule allows him every second weekend and one evening a week.",
            "The minors have expressed a wish to stay with him during the summer recess.",
            "The mother opposes overnight visitation on school days.",
            "A guardian ad litem was appointed on {date} to speak for both of them.",
        ),
    ),
    (
        "neighbor's fence stands on our land",
        (
            "The survey of {date} locates the boundary four feet west of the enclosure.",
            "{a} erected the posts without consulting the adjoining owner.",
            "The encroachment deprives the claimant of a strip of her parcel.",
            "The deed describes the lot by metes and bounds from an iron pin.",
            "Removal of the structure and quiet enjoyment are prayed for.",
        ),
    ),
    (
        "bank charged us for withdrawals somebody else made",
        (
            "Seven unauthorized debits were posted to the checking account in {month}.",
            "The depositor notified the institution within two business days.",
            "{a} had never disclosed the card number or its PIN to any person.",
            "The provisional credit of {money} was reversed after ten days.",
            "The dispute form lists terminals in a city the customer has never visited.",
        ),
    ),
    (
        "company stopped delivering and wants more for the goods",
        (
            "The supplier suspended shipments on {date} and demanded an increase of a fifth.",
            "The purchase agreement fixes the price of each pallet for two years.",
            "{a} was obliged to procure replacement steel on the open market.",
            "The cost of cover exceeded the contract figure by {money}.",
            "Rising fuel costs are not among the events that excuse performance.",
        ),
    ),
    (
        "woman slipped on ice outside the store",
        (
            "{a} lost her footing on the frozen walkway in front of the supermarket.",
            "No salt or sand had been spread although the freeze began the night before.",
            "She fractured her hip and was carried off by ambulance.",
            "The manager had been told of the hazard by two shoppers that morning.",
            "A proprietor must keep the entrance reasonably safe for invitees.",
        ),
    ),
    (
        "ex-husband is behind on child support",
        (
            "The obligor has made no maintenance payment for the minors since {date}.",
            "Arrears under the decree of dissolution amount to {money}.",
            "{a} left his position and did not inform the enforcement agency.",
            "An order withholding income is requested against his new employer.",
            "The custodial parent has borne all school and medical costs alone.",
        ),
    ),
    (
        "software vendor lost all our records",
        (
            "The hosted database was erased on {date} during a migration by the provider.",
            "No backup existed although the service terms promise nightly copies.",
            "{a} could not invoice her clients for five weeks.",
            "Restoring the files from paper consumed nine hundred hours.",
            "The limitation of liability does not extend to gross negligence.",
        ),
    ),
    (
        "dog bit a little girl in the park",
        (
            "The animal broke loose from its leash and attacked the seven year old.",
            "She needed forty stitches in her forearm and a course of rabies vaccine.",
            "{a} knew that the mastiff had snapped at a jogger the year before.",
            "The keeper of a vicious creature answers for the injuries it inflicts.",
            "A plastic surgeon expects the scars to be permanent.",
        ),
    ),
    (
        "insurer refuses to pay for the fire",
        (
            "The carrier declined the claim for the burnt warehouse by letter of {date}.",
            "It contends that the sprinkler warranty in the policy was breached.",
            "The adjuster valued the destroyed inventory at {money}.",
            "The blaze began in a neighboring bakery and spread at night.",
            "{a} had paid every premium when it fell due.",
        ),
    ),
    (
        "inventor says a rival copied his design",
        (
            "The accused hinge embodies each element of the second claim of the patent.",
            "{a} disclosed drawings to the defendant under a promise of secrecy.",
            "An identical product was shown at a trade fair five months later.",
            "A reasonable royalty on the infringing sales would be {money}.",
            "The examiner had found the mechanism novel over all prior art.",
        ),
    ),
    (
        "tenants have no heating in winter",
        (
            "The boiler of the apartment house failed on {date} and was not repaired.",
            "Indoor temperatures fell to forty degrees for nineteen nights.",
            "The residents of the building heated their rooms with kitchen ovens.",
            "{a} ignored three notices of violation from the housing inspector.",
            "The warranty of habitability cannot be waived in a lease.",
        ),
    ),
    (
        "nursing home neglected an old man",
        (
            "The resident developed bedsores of the fourth stage within three weeks.",
            "Charts show that he was not turned for as long as fourteen hours.",
            "The facility had two aides on duty for sixty beds.",
            "{a} found her father dehydrated and unable to speak on {date}.",
            "The elder abuse statute provides for heightened remedies.",
        ),
    ),
    (
        "police searched the house without permission from a judge",
        (
            "Officers entered the dwelling at dawn and no warrant had issued.",
            "{a} did not consent and asked them twice to leave.",
            "The pistol was discovered in a locked drawer of the bedroom.",
            "No exigent circumstances excused the intrusion.",
            "The defense moves to suppress all evidence so obtained.",
        ),
    ),
    (
        "partner took customers away and opened his own shop",
        (
            "{a} resigned on {date} and formed a competing firm the following Monday.",
            "He copied the client list to a private drive during his last night.",
            "Fourteen accounts followed him within a quarter.",
            "The covenant not to solicit runs for eighteen months in the county.",
            "A former member owes a duty of loyalty until withdrawal is effective.",
        ),
    ),
    (
        "builder quit halfway and the kitchen is unfinished",
        (
            "The contractor abandoned the remodeling in {month} with most of the price drawn.",
            "Cabinets stand unhung and the plumbing ends in open pipes.",
            "{a} obtained an estimate of {money} for completing the work.",
            "No lien waiver was furnished by the subcontractors.",
            "The homeowners have cooked on a camping stove ever since.",
        ),
    ),
    (
        "airline lost a suitcase with medicine in it",
        (
            "The checked baggage did not arrive on the flight of {date} and was never traced.",
            "It contained insulin and a glucose monitor that {a} needs daily.",
            "The passenger was hospitalized at his destination.",
            "The carrier offers the sum that its conditions of carriage allow.",
            "A property irregularity report was completed at the counter.",
        ),
    ),
    (
        "wife hid money abroad during the divorce",
        (
            "The spouse omitted an offshore account from her sworn financial disclosure.",
            "Wire transfers of {money} to the islands were discovered on {date}.",
            "The marital estate must be divided equitably, assets concealed included.",
            "{a} signed the inventory under penalty of perjury.",
            "A forensic accountant traced the funds through two shell companies.",
        ),
    ),
    (
        "student hurt in chemistry class",
        (
            "The flask burst while the pupils were heating solvent over an open flame.",
            "No goggles had been handed out by the teacher {a}.",
            "The sixteen year old suffered burns to her face and lost sight in one eye.",
            "The school district had been warned that the laboratory hood was broken.",
            "A claim was presented to the board on {date}.",
        ),
    ),
    (
        "factory poisoned the river and killed fish",
        (
            "Effluent with cyanide was discharged into the creek through an unpermitted outfall.",
            "Dead trout were counted for three miles downstream on {date}.",
            "{a} had switched off the treatment unit in order to save electricity.",
            "The agency assessed a civil penalty of {money}.",
            "Monitoring wells must be sampled every month from now on.",
        ),
    ),
    (
        "celebrity suing a newspaper for lies about her",
        (
            "The article of {date} accused the actress {a} of shoplifting.",
            "Its author never contacted her and relied on one anonymous source.",
            "The publisher refused to print a retraction.",
            "Actual malice may be inferred from a reckless disregard of the truth.",
            "Two film producers withdrew their offers after the defamatory story.",
        ),
    ),
    (
        "man wants to stay in the country, afraid to return home",
        (
            "{a} applies for asylum and for withholding of removal.",
            "He was beaten by militia men on account of his political opinion.",
            "His brother disappeared from detention in {month}.",
            "Conditions in his native land have not improved, as the annexed report shows.",
            "The immigration judge found his testimony credible.",
        ),
    ),
    (
        "overtime was never paid to the cooks",
        (
            "The kitchen staff labored sixty hours a week at a flat rate.",
            "No premium for hours beyond forty appears on any stub.",
            "{a} altered the punch records before the audit of {date}.",
            "The unpaid wages of all eleven come to {money}.",
            "Chefs of the line are not exempt under the fair labor standards.",
        ),
    ),
    (
        "brakes failed because of a manufacturing flaw",
        (
            "The hydraulic hose of the vehicle ruptured on a steep grade.",
            "A metallurgist found a seam in the fitting that predates the sale.",
            "The maker had recalled the same part in another model year.",
            "{a} was unable to stop and went over the embankment.",
            "Strict liability attaches to a defective product that leaves the plant.",
        ),
    ),
    (
        "hacker got into the hospital and stole personal data",
        (
            "An intruder gained access to the medical records of forty thousand persons.",
            "Social security numbers were offered for sale on {date}.",
            "The network had not been patched for nineteen months.",
            "{a} discovered three credit cards opened in her name.",
            "Notice of the breach went out four months late.",
        ),
    ),
    (
        "can't keep up with mortgage, losing the house",
        (
            "The borrower fell into default on the note secured by her home.",
            "A foreclosure sale is set for {date} on the courthouse steps.",
            "{a} applied twice for a modification of the loan and got no answer.",
            "The servicer refused a partial payment of {money}.",
            "She asks that the trustee be restrained from selling.",
        ),
    ),
    (
        "brother stole from our mother while handling her finances",
        (
            "Under the power of attorney {a} emptied the savings of his parent.",
            "Checks of {money} were drawn to a casino.",
            "An agent must account to the principal for every disbursement.",
            "The siblings learned of the withdrawals on {date}.",
            "They seek removal of the fiduciary and restitution.",
        ),
    ),
    (
        "musician not paid for song used in commercial",
        (
            "The advertisement employs eight bars of the composition without a license.",
            "{a} registered the copyright in the melody on {date}.",
            "The agency had asked for a quotation and then ignored it.",
            "The spot was broadcast four hundred times.",
            "Statutory damages and an accounting of profits are claimed.",
        ),
    ),
    (
        "pilot error caused the plane to go down",
        (
            "The aircraft stalled at low altitude on its approach to the runway.",
            "{a} had descended below the minimum although the visibility was poor.",
            "The safety board faults the captain's decision to land.",
            "All five occupants perished on {date}.",
            "The wreckage shows no mechanical anomaly of the engines.",
        ),
    ),
    (
        "denied a job because of her religion",
        (
            "The interviewer asked {a} whether she would take off her headscarf.",
            "She was told that customers expect a neutral look.",
            "A less qualified applicant was hired on {date}.",
            "Faith is a protected characteristic under the civil rights act.",
            "The commission issued a notice of the right to sue.",
        ),
    ),
    (
        "condo association fees raised unfairly",
        (
            "The board of the homeowners adopted a special assessment of {money} per unit.",
            "No quorum was present at the meeting of {date}.",
            "The declaration demands a vote of two thirds of the members.",
            "{a} paid under protest and requested the minutes.",
            "The president's own apartment was exempted.",
        ),
    ),
    (
        "crane fell over at the building site",
        (
            "The boom toppled onto the scaffold while lifting a concrete panel.",
            "Two ironworkers were crushed and {a} was paralyzed.",
            "The ground beneath the outriggers had not been compacted.",
            "The operator's certificate had lapsed on {date}.",
            "Federal inspectors issued willful citations to the general contractor.",
        ),
    ),
    (
        "pharmacist gave the wrong pills",
        (
            "The druggist dispensed methotrexate instead of metoprolol.",
            "The labels of the two vials are nearly alike.",
            "{a} took the drug every day from {date} until she collapsed.",
            "The prescription of the physician was legible.",
            "Her bone marrow was permanently damaged by the medication.",
        ),
    ),
    (
        "man served years in prison though innocent",
        (
            "The conviction of {a} was vacated on {date} after genetic testing.",
            "He had been incarcerated for seventeen years for a robbery he did not commit.",
            "A detective withheld the statement of an alibi witness.",
            "The true perpetrator has since confessed.",
            "Compensation for the wrongful imprisonment is sought from the city.",
        ),
    ),
    (
        "ship's cargo arrived spoiled",
        (
            "The refrigerated container of mangoes was discharged at the port on {date}.",
            "The fruit was rotten throughout upon survey.",
            "The compressor had been off for three days of the voyage.",
            "{a} holds a clean bill of lading issued by the vessel.",
            "Damages of {money} are claimed from the ocean carrier.",
        ),
    ),
)

# What other pages are about: near enough to the subjects that a shared word proves nothing.
_OTHER: tuple[tuple[str, ...], ...] = (
    (
        "The lease of the office on the third floor runs until {date} with an option to renew.",
        "Rent of {money} falls due on the first of each month.",
        "The lessor shall paint the corridors at its own expense.",
        "The tenant may sublet with the written consent of {a}.",
    ),
    (
        "The deposition of {a} is noticed for {date} at the offices of counsel.",
        "The witness shall bring the documents listed in the schedule.",
        "The examination will be recorded by stenographic means.",
        "Counsel agreed to reserve all objections but those to form.",
    ),
    (
        "The parties exchanged initial disclosures on {date}.",
        "Responses to the first set of interrogatories are incomplete.",
        "Privilege logs shall be served within fourteen days.",
        "The motion to compel production of the ledgers is under submission.",
    ),
    (
        "The quarterly report shows revenue of {money} and a modest margin.",
        "The auditors gave an unqualified opinion.",
        "Inventory was counted on {date} in the presence of {a}.",
        "The directors declared no dividend.",
    ),
    (
        "The vehicle, a silver sedan, was registered to {a} on {date}.",
        "Its odometer read eighty-one thousand miles.",
        "The title is free of liens.",
        "The purchase price of {money} was paid by cashier's check.",
    ),
    (
        "The employee handbook was revised in {month}.",
        "Each worker receives twelve days of paid leave.",
        "Supervisors shall review performance once a year.",
        "{a} acknowledged receipt of the policy in writing.",
    ),
    (
        "The hospital submits its bill for radiology, laboratory and room charges.",
        "Adjustments of {money} were made by the insurer.",
        "The patient {a} was discharged in stable condition.",
        "A follow-up visit was arranged for {date}.",
    ),
    (
        "The estate was opened by letters issued on {date}.",
        "The executor published notice to creditors for three weeks.",
        "The inventory lists a house, two accounts and household goods worth {money}.",
        "{a} renounced her right to serve.",
    ),
    (
        "The minutes of the annual meeting were approved as read.",
        "{a} was elected treasurer by acclamation.",
        "The budget of {money} for landscaping was discussed.",
        "The members adjourned at nine in the evening.",
    ),
    (
        "The bank statement opens with a balance of {money}.",
        "Deposits were credited on the fifth and the nineteenth.",
        "A monthly service fee was waived.",
        "Please examine this statement and report any error to {a}.",
    ),
    (
        "The children attend the elementary school on Maple Street.",
        "{a} drives them there on weekdays.",
        "The parents agreed on the holidays of the coming year.",
        "Both households are eleven minutes apart.",
    ),
    (
        "The roof of the garage was inspected on {date} and found sound.",
        "The inspector {a} noted minor wear of the gutters.",
        "The furnace and the water heater are eight years old.",
        "The buyer accepted the property in its present condition.",
    ),
    (
        "The invoice covers twelve hours of labor and materials of {money}.",
        "Payment is due within thirty days of {date}.",
        "{a} delivered the pallets to the loading dock.",
        "Late balances bear interest at one percent a month.",
    ),
    (
        "The officer {a} prepared the incident report on {date}.",
        "Traffic was moderate and the pavement dry.",
        "Photographs of the intersection are attached.",
        "No arrest was made that evening.",
    ),
    (
        "The software license is granted for forty seats.",
        "Support is available by telephone on business days.",
        "The annual fee of {money} may be raised with ninety days' notice.",
        "{a} accepted the deliverables on {date}.",
    ),
    (
        "The policy period begins on {date} at noon.",
        "The limit for each occurrence is {money}.",
        "{a} is named as an additional insured.",
        "Endorsements are attached and form part of the contract.",
    ),
    (
        "The scheduling conference was held by video on {date}.",
        "Trial is expected to last four days.",
        "The court urged the parties to mediate before {a}.",
        "Dispositive motions are due sixty days before trial.",
    ),
    (
        "The shareholders {a} and {b} hold equal interests in the company.",
        "Neither may sell without offering the shares to the other.",
        "The value was appraised at {money}.",
        "The agreement was amended on {date}.",
    ),
    (
        "The trademark application was published for opposition on {date}.",
        "{a} filed a specimen showing use in commerce.",
        "The mark consists of a blue heron in a circle.",
        "The fee of {money} was paid electronically.",
    ),
    (
        "The permit allows the construction of a deck of two hundred square feet.",
        "{a} submitted stamped drawings on {date}.",
        "Setbacks of ten feet shall be observed.",
        "A final inspection will be requested by the builder.",
    ),
    (
        "The expert {a} holds a degree in civil engineering.",
        "Her fee is {money} for each day of testimony.",
        "She visited the site on {date} and took measurements.",
        "Her curriculum vitae is annexed.",
    ),
    (
        "The flight to the conference left on {date} and returned three days later.",
        "Meals and lodging of {money} are reimbursable.",
        "{a} approved the travel in advance.",
        "Receipts are stapled to the form.",
    ),
    (
        "The prescription plan covers generic drugs with a small copayment.",
        "{a} enrolled on {date} during the open season.",
        "Benefits are explained in the booklet.",
        "The deductible is {money} for a family.",
    ),
    (
        "The vessel is a sailboat of thirty-four feet.",
        "{a} bought it for {money} with all gear aboard.",
        "Moorage is paid through {date}.",
        "The survey recommends new standing rigging.",
    ),
)

_CLOSINGS = (
    "I certify that a copy of the foregoing was served on all counsel of record on {date}.",
    "Dated {date}. Respectfully submitted, {b}, attorney at law.",
    "Sworn and subscribed before me, a notary public, on {date}.",
    "Sincerely yours, {b}. Enclosures as stated.",
    "It is so ordered this day, {date}. {b}, judge.",
    "Executed on {date} by {b}. Page of several.",
)
_CAPTIONS = (
    "IN THE SUPERIOR COURT, COUNTY OF {county}. {a}, plaintiff, v. {b}, defendant. No. {number}.",
    "Law offices of {b}, {county}. Re: our file {number}. Dear {a}:",
    "MEMORANDUM. To: {a}. From: {b}. File {number}. {date}.",
    "AFFIDAVIT OF {a}. State, county of {county}. Case {number}.",
    "EXHIBIT to the declaration of {b}, {number}.",
)
_FIRST = [
    "Alice",
    "Bruno",
    "Carla",
    "David",
    "Elena",
    "Felix",
    "Grace",
    "Hugo",
    "Irene",
    "Jonas",
    "Karin",
    "Louis",
    "Maria",
    "Nora",
    "Oscar",
    "Paula",
    "Quentin",
    "Rosa",
    "Simon",
    "Tessa",
    "Umberto",
    "Vera",
    "Walter",
    "Yvonne",
    "Zachary",
]
_LAST = [
    "Abbott",
    "Becker",
    "Castillo",
    "Dunne",
    "Ellison",
    "Fischer",
    "Garcia",
    "Holloway",
    "Ibsen",
    "Jansen",
    "Keller",
    "Lindqvist",
    "Moreau",
    "Nakamura",
    "Okafor",
    "Petrov",
    "Quigley",
    "Ramirez",
    "Schultz",
    "Thornton",
    "Ulrich",
    "Valdez",
    "Whitaker",
    "Young",
    "Zimmer",
]
_COUNTIES = [
    "Ashland",
    "Benton",
    "Clark",
    "Douglas",
    "Elgin",
    "Franklin",
    "Grant",
    "Harlan",
    "Iron",
    "Jasper",
]
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]

# A name or a number, and the sentence in which the one page has it.
_EXACT: tuple[tuple[str, str], ...] = (
    ("Ostrowski Bearings", "The goods were made by Ostrowski Bearings of Dayton."),
    ("24-CV-01187", "The related action bears the docket number 24-CV-01187."),
    ("Thistlewood", "The letter is signed by a Miss Thistlewood, secretary."),
    ("policy HX-4471-09", "Coverage is afforded under policy HX-4471-09 alone."),
    ("Bellweather Crossing", "The lots lie in the subdivision Bellweather Crossing."),
    ("Dr. Anselm Vogelsang", "The chart was countersigned by Dr. Anselm Vogelsang."),
    ("invoice 88213", "Please quote invoice 88213 with your remittance."),
    ("Kowalczyk towing", "The wreck was removed by Kowalczyk towing."),
    ("VIN 1FTSW21P", "The pickup with the VIN 1FTSW21P was impounded."),
    ("estoppel certificate Montague", "An estoppel certificate was given by Montague."),
)

# A phrase in quotation marks with a plain word, the page's sentence, and a sentence of other
# pages that has the words of the phrase in another order.
_PHRASES: tuple[tuple[str, str, str], ...] = (
    (
        '"time is of the essence" covenant',
        "Time is of the essence in every covenant herein.",
        "The essence of the agreement is that time was wasted.",
    ),
    (
        '"hold harmless the city" licensee',
        "The licensee shall hold harmless the city from all claims.",
        "The city found the hold of the barge harmless.",
    ),
    (
        '"without prejudice" offer',
        "This proposal is made without prejudice and for settlement only.",
        "Prejudice cannot be shown without more.",
    ),
    (
        '"joint and several" makers',
        "The obligation of the makers is joint and several.",
        "Several members met at the joint.",
    ),
    (
        '"last clear chance" driver',
        "The engineer had the last clear chance to stop the train.",
        "By chance the last page is clear.",
    ),
    (
        '"force majeure event" delay',
        "A force majeure event shall be notified within five days.",
        "The event showed the force of Majeure, the horse.",
    ),
    (
        '"best interests of the child" hearing',
        "Custody follows the best interests of the child alone.",
        "The child has interests, music the best of them.",
    ),
    (
        '"right of first refusal" meadow',
        "The neighbor holds a right of first refusal over the meadow.",
        "His first refusal was right, she wrote.",
    ),
    (
        '"attractive nuisance" quarry',
        "An unfenced quarry is an attractive nuisance.",
        "The nuisance was not attractive to buyers.",
    ),
    (
        '"res ipsa loquitur" negligence',
        "The doctrine of res ipsa loquitur relieves her of further proof.",
        "Loquitur, said the Latin teacher, and res ipsa after it.",
    ),
)


def make_corpus(pages: int, *, others: int = 1, seed: int = 1) -> Corpus:
    """At least the pages that answer a question, filled up to `pages`, shuffled.

    Each page has `others` paragraphs on other matters beside the one on its subject.
    """
    chance = random.Random(seed)  # noqa: S311 - reproducible pages, not secrets
    texts: list[str] = []
    questions: list[tuple[str, Kind, list[int]]] = []
    for query, sentences in _SUBJECTS:
        answers: list[int] = []
        for _ in range(PAGES_PER_SUBJECT):
            answers.append(len(texts))
            texts.append(_page(chance, chance.sample(sentences, SENTENCES_OF_A_PARAGRAPH), others))
        questions.append((query, Kind.SAID_OTHERWISE, answers))
    for query, sentence in _EXACT:
        questions.append((query, Kind.EXACT_WORDS, [len(texts)]))
        texts.append(_page(chance, [*_other(chance), sentence], others))
    for query, sentence, decoy in _PHRASES:
        questions.append((query, Kind.PHRASE, [len(texts)]))
        texts.append(_page(chance, [*_other(chance), sentence], others))
        texts += [_page(chance, [*_other(chance), decoy], others) for _ in range(3)]
    while len(texts) < pages:
        texts.append(_page(chance, _other(chance), others))
    order = list(range(len(texts)))
    chance.shuffle(order)
    place = {page: position for position, page in enumerate(order)}
    return Corpus(
        [texts[page] for page in order],
        [
            Question(query, kind, frozenset(place[page] for page in answers))
            for query, kind, answers in questions
        ],
    )


def _other(chance: random.Random) -> list[str]:
    return chance.sample(chance.choice(_OTHER), SENTENCES_OF_A_PARAGRAPH)


def _page(chance: random.Random, subject: list[str], others: int) -> str:
    """The subject in the midst of other matters, between a caption and a closing."""
    paragraphs = [
        [chance.choice(_CAPTIONS)],
        *(_other(chance) for _ in range(others // 2)),
        subject,
        *(_other(chance) for _ in range(others - others // 2)),
        [chance.choice(_CLOSINGS)],
    ]
    return "\n\n".join(" ".join(_filled(chance, paragraph)) for paragraph in paragraphs)


def _filled(chance: random.Random, sentences: list[str]) -> Iterator[str]:
    for sentence in sentences:
        month = chance.choice(_MONTHS)
        yield sentence.format(
            a=f"{chance.choice(_FIRST)} {chance.choice(_LAST)}",
            b=f"{chance.choice(_FIRST)} {chance.choice(_LAST)}",
            money=f"${chance.randrange(400, 90_000):,}.{chance.randrange(100):02}",
            month=f"{month} {chance.randrange(2015, 2026)}",
            date=f"{month} {chance.randrange(1, 29)}, {chance.randrange(2015, 2026)}",
            county=chance.choice(_COUNTIES),
            number=f"{chance.randrange(10, 26)}-{chance.randrange(10_000, 99_999)}",
        )

"""What the demo company's people say and write. `{customer}` is filled in."""

from __future__ import annotations

from typing import NamedTuple


class Saying(NamedTuple):
    """An activity to be told: its type, what it was about, and what came of it."""

    type: str
    subject: str
    description: str | None = None
    minutes: int | None = None


# fmt: off
EARLY = (
    Saying("call", "First call with {customer}", "They run on spreadsheets and telephone calls. Open to a trial.", 18),
    Saying("email", "Sent our introduction", "Two pages and the case study of a fleet of their size."),
    Saying("note", "Met at the transport fair", "Asked for us by name. The works council must agree to driver data."),
    Saying("call", "Asked how many vehicles", "More than we thought: half of them are leased until spring.", 9 ),
    Saying("note", "Who decides", "The fleet manager proposes, the managing director signs."),
    Saying("event", "Demo for the dispatchers", "Six people, one hour. The live map convinced them.", 60),
)
MIDDLE = (
    Saying("event", "Workshop on site", "Walked the yard with them. Two vehicles have no ignition signal.", 180 ),
    Saying("call", "Went through the numbers", "They want the units rented, not bought.", 27),
    Saying("email", "Sent sample reports", "Temperature curve with alarm and driver's signature."),
    Saying("note", "Data protection", "Their officer wants driver names hidden after 30 days. We can do that." ),
    Saying("call", "Reference call arranged", "They will talk to Spedition Brandt about the first three months.", 12),
    Saying("email", "Answered 14 questions of procurement", "Open point: who pays for the SIM cards abroad."),
)
LATE = (
    Saying("call", "Legal wants a lower liability cap", "12 months of fees would be fine for them.", 22),
    Saying("email", "Sent the contract draft", "Version 3, with the service levels as an annex."),
    Saying("note", "Rival is still in", "Cheaper per unit, but no alarm centre at night."),
    Saying("event", "Price talk", "Asked for 8 % off. We offered a third year at a fixed price instead.", 45),
    Saying("call", "Board meets on Thursday", "Our contact is confident; they need one page with the total.", 7 ),
)
SAYINGS = (EARLY, EARLY, MIDDLE, LATE)

TASKS = (
    "Call back",
    "Send the offer",
    "Vehicle list",
    "Reference call",
    "Sample report",
    "Workshop",
    "Contract draft",
    "Ask who signs",
)

MOVED_ON = (
    (),
    ("Budget confirmed for this year.", "Fleet manager wants a demo.", "They fit: 60 vehicles and more.", ""),
    ("Board signed off the scope. Wants one price for everything.", "Workshop went well; offer asked for.", ""),
    ("Offer accepted in principle, legal is reading.", "Down to two vendors, we are one of them.", ""),
    ("Signed. Units go out next week.", "Order is in.", "They signed for three years.", "Signed at the fair."),
)
# fmt: on
MOVED_BACK = "New person in charge: back to what they need."
LOST = ("They told us by e-mail.", "Fair talk, they may come back next year.", "")
AT_RISK = "Nobody answers since the new fleet manager came."

COMPLAINTS = {
    "Three-year telematics renewal": "Complaint: four units offline since Monday",
    "Rental fleet, 900 cars": "Complaint about the invoice of last month",
    "Fuel cards, yearly": "Complaint: duplicate cards sent",
}
GONE = {
    "Vela Marine Charter": "Closed for good at the end of the season.",
    "Ponts et Levages SA": "Bought by a group that has its own system.",
    "Transport Nowak i Synowie": "Works with another vendor for three more years.",
}
ABOUT_CUSTOMERS = {
    "Meridian Freight Holding S.E. (incl. subsidiaries)": "Invoices go to Rotterdam, with an order number.",
    "Hafenbetriebe Bremerhaven GmbH": "Site visits need a safety briefing; book it two days ahead.",
    "Dr. Henriëtte van der Meulen": "Prefers the telephone before nine.",
    "Nordisk Läkemedel AB": "Every change of a sensor needs their quality department's signature.",
    "Szybka Paczka S.A.": "Peak from mid-November on: no rollouts before January.",
    "Thames Valley Coaches Ltd": "The workshop is in Reading, the office in Slough.",
}

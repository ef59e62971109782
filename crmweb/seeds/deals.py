"""The demo company's deals as they stand today.

One line each: name, customer, amount, owner, stage, working days since it came there, and the day on which it should
close, in days from today (None: no such day). Lost ones name the reason instead.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

CURRENCIES = {"€": "EUR", "$": "USD"}


class Stand(NamedTuple):
    """Where a deal stands. `written` is its amount with a sign before it; empty: none yet."""

    name: str
    customer: str
    written: str
    owner: str
    stage: str
    since: int
    closes: int | None = None
    lost: str | None = None

    @property
    def amount(self) -> Decimal | None:
        return Decimal(self.written[1:].replace(",", "")) if self.written else None

    @property
    def currency(self) -> str:
        return CURRENCIES[self.written[:1] or "€"]


LEAD, QUALIFIED, PROPOSAL, NEGOTIATION, WON, LOST = (
    "Lead", "Qualified", "Proposal", "Negotiation", "Closed Won", "Closed Lost",
)  # fmt: skip
UPCOMING, TALKS, QUOTED, RISK, RENEWED, ENDED = (
    "Coming up", "In talks", "Quoted", "At risk", "Renewed", "Ended",
)  # fmt: skip

ROT_DAYS = {LEAD: 21, QUALIFIED: 14, PROPOSAL: 10, NEGOTIATION: 7}
"""After how many days without a sign of life a deal rots, by stage."""
MOST_PROPOSALS = 10
"""How many proposals the company wants to have out at once; it has more."""
ASLEEP = {
    "Charter boat positions": (12, "The boats are out of the water until spring."),
    "Snow plough tracking": (24, "The council votes on the budget first."),
}
"""Deals that sleep: for how many more days, and why."""

# fmt: off
SALES = (
    Stand("Cold-chain monitoring pilot", "Ostsee Frischfisch AG", "€38,500", "AB", LEAD, 1, 52),
    Stand("Warehouse scanners, sites Lyon and Saint-Étienne", "Transports Delacroix & Fils SARL", "€64,000", "MW", LEAD, 2, 70),
    Stand("Driver app licences", "Kowalski Logistyka Sp. z o.o.", "", "PR", LEAD, 2),
    Stand("Yard management, 3 depots", "Great Lakes Intermodal Inc.", "$95,000", "TO", LEAD, 14, 55),
    Stand("Route planning add-on", "Boulangeries Réunies", "€9,800", "AB", LEAD, 3, 48),
    Stand("Trailer tracking for the seasonal fleet", "Agrarhandel Nord eG", "€22,400", "LF", LEAD, 5, 60),
    Stand("Ambulance location service", "Rettungsdienst Oberland", "€118,000", "PR", LEAD, 6, 91),
    Stand("Temperature loggers for tastings", "Maison Aubert Vins", "€4,250", "MD", LEAD, 8, 40),
    Stand("Ferry queue sensors", "Isle Ferries Trust", "€57,300", "PR", LEAD, 9, 84),
    Stand("Chassis tracking, 400 units", "Bluewater Drayage LLC", "$132,000", "TO", LEAD, 11, 75),
    Stand("Bee transport loggers", "Imkerei Vogelsang", "€1,900", "MD", LEAD, 12, 21),
    Stand("Stage lorry telematics", "Lumière Événements", "€16,700", "LF", LEAD, 16, -3),
    Stand("Tank level telemetry", "Westfalen Gase", "€86,000", "MD", LEAD, 19, 66),
    Stand("Snow plough tracking", "Stadtwerke Oldenburg", "€31,200", "AB", LEAD, 22, 35),
    Stand("Charter boat positions", "Vela Marine Charter", "", "LF", LEAD, 26),
    Stand("Toll reports for Austria", "Hirschberg Reisen", "€11,300", "MD", LEAD, 4, 42),
    Stand("Crate tracking for caterers", "Taverna Food Service", "$18,600", "TO", LEAD, 7, 50),
    Stand("Sample transport tracking", "Universitätsklinikum Weser", "€43,600", "PR", LEAD, 0, 63),

    Stand("Fleet telematics rollout, phase 2", "Norddeutsche Hafenlogistik GmbH & Co. KG", "€248,000", "AB", QUALIFIED, 2, 28),
    Stand("Temperature audit trail", "Nordisk Läkemedel AB", "€112,000", "PR", QUALIFIED, 4, 31),
    Stand("Dispatch desk, 40 seats", "Compañía Ferroviaria del Norte, S.A.", "€86,400", "LF", QUALIFIED, 9, 56),
    Stand("Fuel card integration", "Van den Berg Transport B.V.", "€54,000", "MW", QUALIFIED, 4, 14),
    Stand("Proof of delivery for couriers", "Rapid Pošta d.o.o.", "€31,500", "TO", QUALIFIED, 3, 49),
    Stand("Telematics for 120 vans", "Stadtwerke Oldenburg", "€67,000", "AB", QUALIFIED, 6, 54),
    Stand("Bin lorry cameras", "Northgate Municipal Waste", "€73,800", "PR", QUALIFIED, 7, 44),
    Stand("Axle load monitoring", "Stone & Daughters Quarry", "€39,900", "PR", QUALIFIED, 12, 38),
    Stand("School bus arrival notices", "Willow Creek School Buses", "$58,500", "TO", QUALIFIED, 10, 80),
    Stand("Reefer alarms by SMS", "Taverna Food Service", "$24,000", "TO", QUALIFIED, 15, 9),
    Stand("Milk collection routes", "Seven Oaks Dairy", "€47,250", "MD", QUALIFIED, 18, -6),
    Stand("Blood transport boxes, 60 units", "Sankt Göran Sjukhus", "€19,800", "AB", QUALIFIED, 1, 33),
    Stand("Gate booking for suppliers", "Zentrallager Mittelrhein", "€61,000", "MD", QUALIFIED, 24, 26),
    Stand("Driver scorecards", "Lakeside Haulage Ltd", "€25,800", "PR", QUALIFIED, 5, 37),

    Stand("Group-wide transport platform, five countries", "Meridian Freight Holding S.E. (incl. subsidiaries)", "€486,000", "AB", PROPOSAL, 3, 21),
    Stand("Customs documents module", "Baltic Bridge Forwarding OÜ", "€74,000", "MW", PROPOSAL, 2, 20),
    Stand("Cross-border track and trace", "Cascadia Parcel Corp.", "$310,000", "TO", PROPOSAL, 2, 29),
    Stand("Fleet renewal, telematics included", "Autovermietung Süd GmbH", "€158,000", "PR", PROPOSAL, 12, -7),
    Stand("Cold store sensors, building C", "Fjord Seafood AS", "€96,500", "LF", PROPOSAL, 1, 27),
    Stand("Control tower add-on", "Iberia Cargo Express", "€41,000", "MW", PROPOSAL, 5, 31),
    Stand("Haul road safety, 85 trucks", "Tundra Mining Services", "$127,400", "TO", PROPOSAL, 6, 45),
    Stand("Furniture delivery windows", "Möbelhaus Sandström", "€28,900", "AB", PROPOSAL, 8, 12),
    Stand("Crane hours by customer", "Kranverleih Hübner", "€36,200", "PR", PROPOSAL, 10, 17),
    Stand("Timber load documents", "Glenmore Timber Haulage", "€52,600", "PR", PROPOSAL, 16, 5),
    Stand("Two-man delivery app", "Juniper Home Delivery", "$44,800", "TO", PROPOSAL, 20, 34),
    Stand("Cylinder tracking, 6,000 pieces", "Westfalen Gase", "€83,500", "MD", PROPOSAL, 4, 39),

    Stand("Port gate automation, terminals 2–4", "Hafenbetriebe Bremerhaven GmbH", "€392,000", "AB", NEGOTIATION, 4, 7),
    Stand("Three-year telematics renewal", "Thames Valley Coaches Ltd", "€184,000", "TO", NEGOTIATION, 4, 9),
    Stand("Nationwide courier roll-out", "Szybka Paczka S.A.", "€218,000", "MW", NEGOTIATION, 7, 4),
    Stand("Refrigerated trailers, sensors and service", "Frigo Rhône-Alpes", "€134,000", "LF", NEGOTIATION, 5, 14),
    Stand("Dispatch desk, 12 seats", "Kranverleih Hübner", "€48,000", "PR", NEGOTIATION, 2, 18),
    Stand("Grain truck scheduling", "Prairie Grain Cooperative", "$71,500", "TO", NEGOTIATION, 9, -2),
    Stand("Abnormal load permits", "Elbe Schwertransporte", "€65,700", "MD", NEGOTIATION, 13, 11),
    Stand("Builders' merchant tracking", "Redwood Building Supply", "$88,000", "TO", NEGOTIATION, 1, 23),

    Stand("Telematics starter, 60 trucks", "Spedition Brandt", "€144,000", "AB", WON, 2, 1),
    Stand("Driver app for night couriers", "Nachtkurier Wien GmbH", "€36,750", "PR", WON, 4, -2),
    Stand("Yard cameras", "Porto Seco Madrid", "€89,500", "LF", WON, 6, -5),
    Stand("Fuel reporting", "Lakeside Haulage Ltd", "€27,000", "TO", WON, 8, -14),
    Stand("Route planning, 3 regions", "Alpenblick Molkerei eG", "€112,000", "MW", WON, 10, -10),
    Stand("Fleet health checks", "Busreisen Lindqvist", "€18,000", "AB", WON, 11, -17),
    Stand("Dock scheduling", "Zentrallager Mittelrhein", "€76,400", "MD", WON, 13, -20),
    Stand("Parcel lockers, first 30", "Cascadia Parcel Corp.", "$64,900", "TO", WON, 15, -22),
    Stand("Removal van tracking", "Harbour & Hythe Removals", "€12,300", "PR", WON, 17, -21),
    Stand("Vaccine fridge alarms", "Sankt Göran Sjukhus", "€33,600", "AB", WON, 19, -30),
    Stand("Trailer lights diagnosis", "Van den Berg Transport B.V.", "€21,900", "MW", WON, 21, -28),
    Stand("Reefer fleet, 45 units", "Maple Leaf Reefer Lines", "$139,000", "TO", WON, 24, -33),
    Stand("Sausage van sensors", "Bio Markt Verbund", "€8,700", "MD", WON, 27, -40),
    Stand("Pallet scanning", "Druckhaus Keller", "€15,400", "PR", WON, 30, -41),
    Stand("Coach maintenance planner", "Thames Valley Coaches Ltd", "€58,200", "TO", WON, 16, -19),
    Stand("Grain trailer weighing", "Prairie Grain Cooperative", "$47,700", "TO", WON, 22, -27),
    Stand("Lab courier tracking", "Universitätsklinikum Weser", "€29,400", "PR", WON, 33, -45),

    Stand("Warehouse labels", "Druckhaus Keller", "€12,400", "PR", LOST, 1, 8, "Price"),
    Stand("Tachograph archive", "Transport Nowak i Synowie", "€46,000", "MW", LOST, 5, -4, "Chose a rival"),
    Stand("Cold-chain audit", "Bio Markt Verbund", "€58,300", "AB", LOST, 7, 3, "No budget"),
    Stand("Crane sensors", "Ponts et Levages SA", "€91,000", "LF", LOST, 9, 15, "No answer"),
    Stand("Toll box swap", "Hirschberg Reisen", "€8,000", "TO", LOST, 12, -12, "Timing"),
    Stand("Weighbridge link", "Stone & Daughters Quarry", "€23,500", "PR", LOST, 14, -9, "Price"),
    Stand("Mileage tax reports", "Elbe Schwertransporte", "€17,200", "MD", LOST, 18, -25, "Built it themselves"),
    Stand("Container seals", "Bluewater Drayage LLC", "$39,000", "TO", LOST, 20, -18, "Chose a rival"),
    Stand("Wine temperature labels", "Maison Aubert Vins", "€5,600", "MD", LOST, 23, -30, "No answer"),
    Stand("Pupil counting", "Willow Creek School Buses", "$27,300", "TO", LOST, 28, -36, "No budget"),
    Stand("Ferry crew rosters", "Isle Ferries Trust", "€34,800", "PR", LOST, 16, -14, "Out of our field"),
    Stand("Sand truck counters", "Redwood Building Supply", "$13,900", "TO", LOST, 25, -29, "Price"),
)

RENEWALS = (
    Stand("Telematics for next year", "Hirschberg Reisen", "€14,400", "PR", UPCOMING, 1, 88),
    Stand("Route planning, yearly", "Boulangeries Réunies", "€7,200", "AB", UPCOMING, 2, 74),
    Stand("Cold store, service contract", "Fjord Seafood AS", "€26,500", "LF", UPCOMING, 3, 66),
    Stand("Dispatch desk, 25 seats", "Great Lakes Intermodal Inc.", "$49,800", "TO", UPCOMING, 4, 79),
    Stand("Yard cameras, maintenance", "Hafenbetriebe Bremerhaven GmbH", "€38,000", "AB", UPCOMING, 6, 58),
    Stand("Driver app, 300 licences", "Szybka Paczka S.A.", "€43,200", "MW", UPCOMING, 7, 61),
    Stand("Parcel tracking, yearly", "Rapid Pošta d.o.o.", "€18,900", "MD", UPCOMING, 10, 52),
    Stand("Reefer alarms, 80 units", "Taverna Food Service", "$16,400", "TO", UPCOMING, 13, 47),
    Stand("Axle load, service contract", "Glenmore Timber Haulage", "€9,600", "PR", UPCOMING, 17, 43),
    Stand("Alarm centre, nights", "Nordisk Läkemedel AB", "€22,600", "LF", UPCOMING, 9, 55),

    Stand("Fleet telematics, phase 1", "Norddeutsche Hafenlogistik GmbH & Co. KG", "€156,000", "AB", TALKS, 2, 36),
    Stand("Control tower, yearly", "Iberia Cargo Express", "€62,400", "MW", TALKS, 3, 30),
    Stand("Ferry positions", "Isle Ferries Trust", "€21,000", "PR", TALKS, 5, 24),
    Stand("Coach telematics, 140 vehicles", "Thames Valley Coaches Ltd", "€67,200", "TO", TALKS, 8, 19),
    Stand("Milk tank sensors", "Alpenblick Molkerei eG", "€24,800", "MD", TALKS, 9, 33),
    Stand("Grain silos, telemetry", "Prairie Grain Cooperative", "$28,700", "TO", TALKS, 12, 16),
    Stand("Bus routing, school year", "Willow Creek School Buses", "$19,500", "TO", TALKS, 15, 28),

    Stand("Van tracking, two years", "Stadtwerke Oldenburg", "€32,100", "AB", QUOTED, 1, 13),
    Stand("Customs archive", "Baltic Bridge Forwarding OÜ", "€11,700", "MW", QUOTED, 3, 10),
    Stand("Gas tanker telemetry", "Westfalen Gase", "€58,900", "MD", QUOTED, 4, 15),
    Stand("Pharma audit trail, yearly", "Nordisk Läkemedel AB", "€47,500", "PR", QUOTED, 6, 8),
    Stand("Mine vehicles, safety pack", "Tundra Mining Services", "$83,600", "TO", QUOTED, 9, 6),
    Stand("Quarry weighing, support", "Stone & Daughters Quarry", "€6,900", "PR", QUOTED, 14, -1),
    Stand("Timber documents, yearly", "Glenmore Timber Haulage", "€12,800", "PR", QUOTED, 11, 3),

    Stand("Rental fleet, 900 cars", "Autovermietung Süd GmbH", "€97,000", "PR", RISK, 3, 12),
    Stand("Waste round planning", "Northgate Municipal Waste", "€35,400", "PR", RISK, 6, 5),
    Stand("Home delivery app", "Juniper Home Delivery", "$22,300", "TO", RISK, 11, -5),

    Stand("Courier app, 90 licences", "Nachtkurier Wien GmbH", "€13,500", "PR", RENEWED, 1, 4),
    Stand("Trailer tracking, 220 units", "Van den Berg Transport B.V.", "€52,800", "MW", RENEWED, 3, -1),
    Stand("Fuel cards, yearly", "Lakeside Haulage Ltd", "€17,600", "TO", RENEWED, 7, -8),
    Stand("Port terminals, support", "Hafenbetriebe Bremerhaven GmbH", "€71,000", "AB", RENEWED, 12, -16),
    Stand("Builders' fleet, 70 trucks", "Redwood Building Supply", "$31,900", "TO", RENEWED, 16, -24),
    Stand("Hospital transport desk", "Sankt Göran Sjukhus", "€28,000", "AB", RENEWED, 22, -31),
    Stand("Dairy collection, yearly", "Seven Oaks Dairy", "€19,200", "MD", RENEWED, 26, -38),
    Stand("Furniture delivery, yearly", "Möbelhaus Sandström", "€14,900", "AB", RENEWED, 9, -6),

    Stand("Event lorries", "Lumière Événements", "€5,400", "LF", ENDED, 4, -3, "Sold the lorries"),
    Stand("Charter boats", "Vela Marine Charter", "€8,100", "LF", ENDED, 18, -26, "Season only"),
)
# fmt: on

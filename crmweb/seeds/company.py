"""The demo company's people and customers: a vendor of freight telematics, sold across Europe and North America.

Addresses end in `.example`, which nobody can own; telephone numbers come from ranges kept for films and books.
"""

from __future__ import annotations

from typing import NamedTuple

PASSWORD = "pipeline-demo"  # noqa: S105  public on purpose: that is why production refuses these people


class Colleague(NamedTuple):
    """Somebody who works with the board. Those `with_password` can sign in."""

    key: str
    name: str
    email: str
    role: str
    timezone: str
    with_password: bool = False


class Customer(NamedTuple):
    """Somebody whom deals are made with; `place` chooses the telephone number."""

    name: str
    mailbox: str
    place: str
    kind: str = "organization"


PEOPLE = (
    Colleague("AB", "Ann Björklund", "admin@example.com", "admin", "Europe/Stockholm", True),
    Colleague("MW", "Marek Wójcik", "manager@example.com", "manager", "Europe/Warsaw", True),
    Colleague("PR", "Priya Raman", "rep@example.com", "rep", "Europe/London", True),
    Colleague("TO", "Tom Okafor", "tom.okafor@example.com", "rep", "America/Chicago"),
    Colleague("LF", "Lucía Fernández-Ortega", "lucia.fernandez@example.com", "rep", "Europe/Madrid"),
    Colleague("MD", "Marco De Santis", "marco.desantis@example.com", "rep", "Europe/Rome"),
)

TELEPHONES = {
    "CA": "+1 613 555 01{:02}",
    "DE": "+49 30 23125 {:03}",
    "FR": "+33 1 99 00 {:02} 40",
    "GB": "+44 20 7946 0{:03}",
    "SE": "+46 8 465 004 {:02}",
    "US": "+1 312 555 01{:02}",
}

CUSTOMERS = (
    Customer("Agrarhandel Nord eG", "fuhrpark@agrarhandel-nord.example", "DE"),
    Customer("Alpenblick Molkerei eG", "logistik@molkerei-alpenblick.example", "DE"),
    Customer("Autovermietung Süd GmbH", "flotte@autovermietung-sued.example", "DE"),
    Customer("Baltic Bridge Forwarding OÜ", "customs@balticbridge.example", "SE"),
    Customer("Bio Markt Verbund", "kuehlkette@biomarkt.example", "DE"),
    Customer("Bluewater Drayage LLC", "dispatch@bluewater-drayage.example", "US"),
    Customer("Boulangeries Réunies", "livraison@boulangeries-reunies.example", "FR"),
    Customer("Busreisen Lindqvist", "verkstad@lindqvist.example", "SE"),
    Customer("Cascadia Parcel Corp.", "ops@cascadiaparcel.example", "US"),
    Customer("Compañía Ferroviaria del Norte, S.A.", "trafico@ferronorte.example", "FR"),
    Customer("Druckhaus Keller", "versand@druckhaus-keller.example", "DE"),
    Customer("Elbe Schwertransporte", "disposition@elbe-schwer.example", "DE"),
    Customer("Fjord Seafood AS", "cold.store@fjordseafood.example", "SE"),
    Customer("Frigo Rhône-Alpes", "parc@frigo-rhone.example", "FR"),
    Customer("Glenmore Timber Haulage", "yard@glenmore-timber.example", "GB"),
    Customer("Great Lakes Intermodal Inc.", "yards@greatlakes-intermodal.example", "US"),
    Customer("Hafenbetriebe Bremerhaven GmbH", "leitstand@hafen-bremerhaven.example", "DE"),
    Customer("Harbour & Hythe Removals", "office@harbourhythe.example", "GB"),
    Customer("Dr. Henriëtte van der Meulen", "h.vandermeulen@meridian.example", "GB", "person"),
    Customer("Hirschberg Reisen", "technik@hirschberg-reisen.example", "DE"),
    Customer("Iberia Cargo Express", "control@iberiacargo.example", "FR"),
    Customer("Imkerei Vogelsang", "hallo@imkerei-vogelsang.example", "DE", "person"),
    Customer("Isle Ferries Trust", "fleet@isleferries.example", "GB", "trust"),
    Customer("Juniper Home Delivery", "routes@juniperhome.example", "US"),
    Customer("Kowalski Logistyka Sp. z o.o.", "flota@kowalski-logistyka.example", "DE"),
    Customer("Kranverleih Hübner", "buero@kran-huebner.example", "DE"),
    Customer("Lakeside Haulage Ltd", "fuel@lakesidehaulage.example", "GB"),
    Customer("Lumière Événements", "regie@lumiere-evenements.example", "FR"),
    Customer("Maison Aubert Vins", "cave@maison-aubert.example", "FR"),
    Customer("Maple Leaf Reefer Lines", "reefer@mapleleaf-lines.example", "CA"),
    Customer("Meridian Freight Holding S.E. (incl. subsidiaries)", "procurement@meridian.example", "GB"),
    Customer("Möbelhaus Sandström", "transport@sandstrom.example", "SE"),
    Customer("Nachtkurier Wien GmbH", "zentrale@nachtkurier.example", "DE"),
    Customer("Nordisk Läkemedel AB", "kvalitet@nordisk-lakemedel.example", "SE"),
    Customer("Norddeutsche Hafenlogistik GmbH & Co. KG", "it@ndhl.example", "DE"),
    Customer("Northgate Municipal Waste", "depot@northgate-waste.example", "GB"),
    Customer("Ostsee Frischfisch AG", "kuehlung@ostsee-frischfisch.example", "DE"),
    Customer("Ponts et Levages SA", "parc@ponts-levages.example", "FR"),
    Customer("Porto Seco Madrid", "patio@portoseco.example", "FR"),
    Customer("Prairie Grain Cooperative", "hauling@prairiegrain.example", "CA"),
    Customer("Rapid Pošta d.o.o.", "kuriri@rapidposta.example", "DE"),
    Customer("Redwood Building Supply", "trucks@redwood-supply.example", "US"),
    Customer("Rettungsdienst Oberland", "fahrdienst@rd-oberland.example", "DE", "trust"),
    Customer("Sankt Göran Sjukhus", "transport@sanktgoran.example", "SE"),
    Customer("Seven Oaks Dairy", "collections@sevenoaksdairy.example", "GB"),
    Customer("Spedition Brandt", "leitung@spedition-brandt.example", "DE"),
    Customer("Stadtwerke Oldenburg", "fuhrpark@sw-oldenburg.example", "DE"),
    Customer("Stone & Daughters Quarry", "weighbridge@stonedaughters.example", "GB"),
    Customer("Szybka Paczka S.A.", "flota@szybkapaczka.example", "DE"),
    Customer("Taverna Food Service", "cold@taverna-food.example", "US"),
    Customer("Thames Valley Coaches Ltd", "engineering@tvcoaches.example", "GB"),
    Customer("Transport Nowak i Synowie", "biuro@nowak-synowie.example", "DE"),
    Customer("Transports Delacroix & Fils SARL", "exploitation@delacroix-fils.example", "FR"),
    Customer("Tundra Mining Services", "vehicles@tundramining.example", "CA"),
    Customer("Universitätsklinikum Weser", "probenlogistik@uk-weser.example", "DE"),
    Customer("Van den Berg Transport B.V.", "planning@vdberg-transport.example", "DE"),
    Customer("Vela Marine Charter", "crew@velamarine.example", "FR"),
    Customer("Westfalen Gase", "tankwagen@westfalen-gase.example", "DE"),
    Customer("Willow Creek School Buses", "routing@willowcreek-buses.example", "US"),
    Customer("Zentrallager Mittelrhein", "tor@zl-mittelrhein.example", "DE"),
)


def telephone(place: str, number: int) -> str:
    """A number in `place` that rings nowhere."""
    return TELEPHONES[place].format(number)

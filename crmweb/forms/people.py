"""People as admins see them, and one's own account."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from babel import Locale
from wtforms import BooleanField, Form, PasswordField, RadioField, SelectField, StringField
from wtforms.validators import AnyOf, InputRequired, ValidationError

from crmweb import config
from crmweb.forms.auth import NEW_PASSWORD

ROLES = {
    "rep": "Rep: Sees everything, changes own and unassigned deals",
    "manager": "Manager: Changes all deals, pipelines and rules",
    "admin": "Admin: All that, and people",
}
LOCALES = (
    "en", "en_GB", "en_AU", "en_CA", "en_IN", "cs", "da", "de", "de_AT", "de_CH", "el", "es", "es_MX", "et", "fi", "fr",
    "fr_CA", "fr_CH", "hr", "hu", "it", "ja", "ko", "lt", "lv", "nb", "nl", "nl_BE", "pl", "pt", "pt_BR", "ro", "sk",
    "sl", "sv", "tr", "uk", "zh_Hans", "zh_Hant",
)  # fmt: skip
REGIONS = "Africa America Antarctica Arctic Asia Atlantic Australia Europe Indian Pacific".split()


class PersonForm(Form):
    """Who they are and what they may do."""

    name = StringField("Name", [InputRequired("Name is missing.")])
    role = RadioField(
        "Role",
        [AnyOf(ROLES, "Choose one of the roles.")],
        choices=ROLES,
        default="rep",
        validate_choice=False,
    )


class NewPersonForm(PersonForm):
    """A new account."""

    email = StringField(
        "E-mail",
        [InputRequired("E-mail is missing.")],
    )


class ProfileForm(Form):
    """How one is called, and how times and numbers are written."""

    name = StringField("Name", [InputRequired("Name is missing.")])
    timezone = SelectField("Time zone", validate_choice=False)
    locale = SelectField("Numbers and dates", validate_choice=False)
    gets_mail = BooleanField("Send me what comes into my inbox by e-mail too")

    def offer(self, timezone: str, locale: str) -> None:
        """Fill the lists of choices; what is chosen now is always among them. No mail without a mail server."""
        if not config.settings.smtp_url:
            del self.gets_mail
        self.timezone.choices = timezones(timezone)
        self.locale.choices = {code: _name(code) for code in (*LOCALES, locale)}

    def validate_locale(self, field: SelectField) -> None:
        """ValidationError unless it is one of those offered."""
        if field.data not in field.choices:
            raise ValidationError("Choose one of these.")


class EmailForm(Form):
    """Another e-mail to sign in with."""

    email = StringField(
        "New e-mail",
        [InputRequired("E-mail is missing.")],
    )
    current_password = PasswordField("Your password", [InputRequired("Your password is missing.")])


class OwnPasswordForm(Form):
    """Another password."""

    current_password = PasswordField("Present password", [InputRequired("Your present password is missing.")])
    password = PasswordField("New password", [InputRequired("Choose a password.")], description=NEW_PASSWORD)


def timezones(present: str) -> dict[str, dict[str, str]]:
    """The time zones by region, for a list of choices; `present` is among them."""
    found = {"Everywhere": {"UTC": "UTC"}}
    for region in REGIONS:
        found[region] = {zone: _city(zone) for zone in _zones() if zone.startswith(region + "/")}
    if all(present not in zones for zones in found.values()):
        found["Everywhere"][present] = present
    return found


@lru_cache(maxsize=1)
def _zones() -> tuple[str, ...]:
    # One zone per region of each country; `available_timezones` also holds every name that a zone ever had.
    table = (files("tzdata") / "zoneinfo" / "zone.tab").read_text().splitlines()
    return tuple(sorted(line.split("\t")[2] for line in table if not line.startswith("#")))


def _city(zone: str) -> str:
    return zone.partition("/")[2].replace("_", " ").replace("/", ", ")


@lru_cache(maxsize=64)
def _name(code: str) -> str:
    return str(Locale.parse(code).get_display_name("en"))

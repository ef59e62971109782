"""Signing in, the first admin, a new password."""

from __future__ import annotations

from wtforms import Form, HiddenField, PasswordField, StringField
from wtforms.validators import InputRequired

from crmweb import passwords
from crmweb.errors import CRMError, FieldError

NEW_PASSWORD = (
    f"At least {passwords.LEAST} characters. A few words in a row are easy to remember and hard to guess."
)


class SignInForm(Form):
    """Who, and the proof."""

    next = HiddenField()
    email = StringField("E-mail", [InputRequired("Your e-mail is missing.")])
    password = PasswordField("Password", [InputRequired("Your password is missing.")])


class PasswordForm(Form):
    """A new password, by a one-time link."""

    password = PasswordField("New password", [InputRequired("Choose a password.")], description=NEW_PASSWORD)


class SetUpForm(Form):
    """The first admin of an empty installation."""

    code = StringField("Code from the console", [InputRequired("The code is missing.")])
    name = StringField("Your name", [InputRequired("Your name is missing.")])
    email = StringField("E-mail", [InputRequired("Your e-mail is missing.")])
    password = PasswordField("Password", [InputRequired("Choose a password.")], description=NEW_PASSWORD)


def check(form: Form) -> None:
    """Raise FieldError with the first fault of the form in words; its fields keep theirs all."""
    if not form.validate():
        field, faults = next(iter(form.errors.items()))
        raise FieldError(str(field), str(faults[0]))


def blame(form: Form, error: CRMError) -> None:
    """Put the reason beside its field, or above the form's buttons when it is about none of them."""
    field = error.field if isinstance(error, FieldError) else None
    if field is None or field not in form:
        form.form_errors = [*form.form_errors, error.message]
    elif not form[field].errors:
        form[field].errors = [error.message]

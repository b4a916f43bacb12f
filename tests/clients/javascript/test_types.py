"""The modules agree with themselves, and with what ``fairlead.d.ts`` says they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.javascript.package import ENTRY, HERE, MODULES, tsc

AGREEMENT = """
import * as declared from "{entry}";
import {{ Client }} from "{modules}/client.js";
import {{ FairleadError }} from "{modules}/errors.js";
import {{ Instance }} from "{modules}/instances.js";
import {{ Session }} from "{modules}/sessions.js";
import {{ Task }} from "{modules}/tasks.js";

type None<Names extends never> = Names;
type Beyond<Real, Declared> = Exclude<keyof Real, keyof Declared>;

type Make = (url: string, options?: declared.Options) => declared.Client;
export const make: Make = (url, options) => new Client(url, options);
export const constructed: typeof declared.Client = Client;
export const failed = (error: FairleadError): declared.FairleadError => error;
export const session = (real: Session): declared.Session => real;
export const task = (real: Task): declared.Task => real;
export const instance = (real: Instance): declared.Instance => real;
export type Nothing = [
  None<Beyond<Client, declared.Client>>,
  None<Beyond<Session, declared.Session>>,
  None<Beyond<Task, declared.Task>>,
  None<Beyond<Instance, declared.Instance>>,
];
"""


def test_every_module_is_sound(tmp_path: Path) -> None:
    tsc(tmp_path, [ENTRY, *MODULES, ENTRY.with_suffix(".d.ts")])


def test_the_declared_client_is_the_real_one_and_no_more(tmp_path: Path) -> None:
    agreement = tmp_path / "agreement.ts"
    agreement.write_text(AGREEMENT.format(entry=ENTRY, modules=HERE / "fairlead"))

    tsc(tmp_path, [agreement])


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("options?: declared.Options) => declared.Client", "options?: declared.Options) => declared.Task"),
        ("Beyond<Task, declared.Task>", "Beyond<Task, { id: string }>"),
    ],
)
def test_a_disagreement_would_be_seen(tmp_path: Path, right: str, wrong: str) -> None:
    text = AGREEMENT.format(entry=ENTRY, modules=HERE / "fairlead")
    assert right in text
    agreement = tmp_path / "agreement.ts"
    agreement.write_text(text.replace(right, wrong))

    with pytest.raises(AssertionError, match=r"agreement\.ts.*error TS"):
        tsc(tmp_path, [agreement])

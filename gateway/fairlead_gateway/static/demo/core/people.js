// Who is in the conversation: people, not sockets; whoever is back in time was never gone.

import { cell } from "../../dashboard/core/cell.js";

const LOOK_AGAIN_MS = 4000;

/** @typedef {{ name: string, isHere: boolean, connections: number, leftAt: number }} Person */

export class People {
  /** @type {import("../../dashboard/core/cell.js").Cell<Person[]>} */
  all = cell([]);

  constructor(me) {
    this.me = me;
  }

  /** @param {import("../../client/fairlead.js").Client} client @param {string} session */
  attach(client, session) {
    this.session = client.session(session);
    const look = () => client.state === "open" && document.visibilityState === "visible" && this.refresh();
    // Nobody is told of whoever is back in time; a window that has just come has not seen them before.
    setInterval(look, LOOK_AGAIN_MS);
  }

  /** Names of those who are there. */
  get here() {
    return this.all.value.filter((one) => one.isHere).map((one) => one.name);
  }

  /** Ask who is there; who was there before and is not said to have left may yet be back. */
  async refresh() {
    const members = await this.session?.members().catch(() => null);
    if (!members) return;
    const there = members.map((one) => ({ name: one.user_id, isHere: true, connections: one.connections, leftAt: 0 }));
    const names = new Set(there.map((one) => one.name));
    this.#set([...there, ...this.all.value.filter((one) => !names.has(one.name))]);
  }

  came(name) {
    this.#put(name, { isHere: true, leftAt: 0 });
    this.refresh();
  }

  left(name) {
    this.#put(name, { isHere: false, connections: 0, leftAt: Date.now() });
  }

  #put(name, facts) {
    const known = this.all.value.find((one) => one.name === name) ?? { name, connections: 1 };
    this.#set([...this.all.value.filter((one) => one.name !== name), { ...known, ...facts }]);
  }

  #set(people) {
    const first = (one) => (one.name === this.me ? "" : one.name);
    this.all.set([...people].sort((a, b) => first(a).localeCompare(first(b))));
  }
}

// What can be broken in a window. The client is told nothing of it beforehand: it finds out, and mends it.

import { cell } from "../../dashboard/core/cell.js";
import { post } from "./post.js";

const MESSAGES_MS = 2500;

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

export class Storm {
  /** From the end of the replica until the client is back. */
  isKilled = cell(false);

  /** @param {import("./seat.js").Seat} seat */
  constructor(seat) {
    this.seat = seat;
  }

  drop() {
    this.seat.tell("The line was cut.");
    this.seat.cable.cut();
  }

  /** @param {number} ms */
  offline(ms) {
    this.seat.tell(`The plug is out for ${Math.round(ms / 1000)} seconds. Write something meanwhile.`);
    return this.#without(() => wait(ms));
  }

  whileAway(count) {
    const { seat } = this;
    const session = seat.current.value;
    this.seat.tell(`Away, while a backend says ${count} things in ${session}.`);
    return this.#without(async () => {
      await seat.trying(() => post([...seat.own, ...seat.others], "messages", { session, count }));
      await wait(MESSAGES_MS);
    });
  }

  kill() {
    const name = this.seat.replica.value;
    return this.seat.trying(async () => {
      await post(this.seat.own, "kill");
      this.isKilled.set(true);
      this.seat.tell(`${name} was killed with SIGKILL, and is started again.`);
    });
  }

  async #without(work) {
    const { cable, client } = this.seat;
    if (cable.isOut.value) return;
    cable.pull();
    await work();
    cable.plug();
    client.check();
  }
}

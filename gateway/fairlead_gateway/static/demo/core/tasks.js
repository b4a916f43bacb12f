// Tasks that this window watches: those it began, those it is asked about, and those that the shared document names.

import { cell } from "../../dashboard/core/cell.js";

export const ENDED = ["completed", "failed", "cancelled"];
const KEPT = 2;

/** @typedef {{ id: string, state: any, isStalled: boolean }} Shown */

export class Tasks {
  /** The latest first. @type {import("../../dashboard/core/cell.js").Cell<Shown[]>} */
  all = cell([]);

  /** @param {import("./seat.js").Seat} seat */
  constructor(seat) {
    this.seat = seat;
  }

  /** Hear of a task from now on. */
  async watch(id) {
    if (!id || this.all.value.some((one) => one.id === id)) return;
    const going = this.all.value.filter((one) => one.state && !ENDED.includes(one.state.status));
    const kept = going.slice(0, KEPT - 1);
    for (const one of this.all.value) if (!kept.includes(one)) this.#leave(one.id);
    this.all.set([{ id, state: null, isStalled: false }, ...kept]);
    const task = this.seat.client.task(id);
    task.on("*", (message) => this.#change(id, { state: task.state, isStalled: message.type === "task_stalled" }));
    try {
      await task.watch();
      this.#change(id, { state: task.state });
    } catch (error) {
      this.all.set(this.all.value.filter((one) => one.id !== id));
      // A task that the document still names may be long over.
      if (error.code !== "not_found") this.seat.tell(error.message, "bad");
    }
  }

  #leave(id) {
    // Whoever cannot say so is not heard by a gateway, either.
    this.seat.client.task(id).unwatch().catch(() => {});
  }

  cancel(id) {
    return this.seat.trying(() => this.seat.client.task(id).cancel());
  }

  #change(id, facts) {
    const before = this.all.value.find((one) => one.id === id);
    if (!before) return;
    this.all.set(this.all.value.map((one) => (one.id === id ? { ...one, ...facts } : one)));
    const status = facts.state?.status;
    if (before.state && status !== before.state.status && ENDED.includes(status)) {
      this.seat.tell(`Task ${id} ${status === "cancelled" ? "was cancelled" : status}.`, status === "completed" ? "good" : "calm");
    }
  }
}

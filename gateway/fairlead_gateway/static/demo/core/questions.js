// Questions to this person, each shown once, until somebody has answered it or its time is up.

import { cell } from "../../dashboard/core/cell.js";

/** What became of a question. */
const OVER = {
  accepted: "was answered",
  answered: "was answered",
  timed_out: "was not answered in time",
  cancelled: "was taken back",
  already_answered: "was answered before",
  expired: "was not answered in time",
  undeliverable: "reached nobody",
};

/** @typedef {{ question: import("../../client/fairlead.js").Question, said: string, errors: { field: string, message: string }[],
 *     isSending: boolean }} Shown */

export class Questions {
  /** @type {import("../../dashboard/core/cell.js").Cell<Shown[]>} */
  all = cell([]);

  /** @param {import("./seat.js").Seat} seat */
  constructor(seat) {
    this.seat = seat;
  }

  /**
   * Show one, and leave it open: what is answered goes by `answer`, so that a form can be told what is wrong with it.
   * @param {import("../../client/fairlead.js").Question} question @param {AbortSignal} signal
   */
  asked(question, signal) {
    this.all.set([...this.all.value, { question, said: "", errors: [], isSending: false }]);
    this.seat.tasks.watch(question.taskId);
    signal.addEventListener("abort", () => this.#close(question.callbackId, signal.reason));
    if (signal.aborted) this.#close(question.callbackId, signal.reason);
  }

  /** @param {import("../../client/fairlead.js").Answer} answer @param {string} said how the choice is called */
  async answer(id, answer, said) {
    this.#change(id, { said, isSending: true, errors: [] });
    try {
      const told = await this.seat.client.request("confirm", { callback_id: id, ...answer }, { timeoutMs: 30_000 });
      // What counts is closed by the gateway, for everybody at once.
      if (["accepted", "duplicate"].includes(told.status)) return;
      if (OVER[told.status]) return this.#close(id, { status: told.status, by: told.answer?.by });
      this.#change(id, { isSending: false, errors: told.errors ?? [{ field: "", message: `not taken: ${told.status}` }] });
    } catch (error) {
      this.#change(id, { isSending: false, errors: [{ field: "", message: error.message }] });
    }
  }

  #close(id, { status, by } = {}) {
    const shown = this.all.value.find((one) => one.question.callbackId === id);
    if (!shown) return;
    this.all.set(this.all.value.filter((one) => one !== shown));
    const isMine = by === this.seat.user || status === "accepted";
    const who = isMine ? "by you" : by ? `by ${by}` : "";
    const what = isMine && shown.said ? `: ${shown.said}` : "";
    this.seat.tell(`“${shown.question.message}” ${[OVER[status] ?? "is over", who].filter(Boolean).join(" ")}${what}`);
  }

  #change(id, facts) {
    this.all.set(this.all.value.map((one) => (one.question.callbackId === id ? { ...one, ...facts } : one)));
  }
}

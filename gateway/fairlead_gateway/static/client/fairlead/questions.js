import { FairleadError } from "./errors.js";

/** @import { Answer, Closed, Question, QuestionHandler } from "../fairlead.js" */
/** @import { Frame, Open } from "./types.d.ts" */

const REMEMBERED = 200;

/** What an answer comes to that counts. */
const COUNTS = new Set(["accepted", "duplicate"]);

/** What leaves the question open. */
const INVALID = "invalid";

/** Questions to this user: each shown once, until it has an answer or is over (Q). */
export class Questions {
  #core;
  /** By callback id. @type {Map<string, Open>} */
  #open = new Map();
  /** Those that are over; the earliest are forgotten. @type {Set<string>} */
  #over = new Set();
  /** @type {Set<QuestionHandler>} */
  #handlers = new Set();

  /** @param {import("./core.js").Core} core */
  constructor(core) {
    this.#core = core;
  }

  /** @param {QuestionHandler} handler @returns {() => void} */
  on(handler) {
    /** @type {QuestionHandler} */
    const own = (question, signal) => handler(question, signal);
    this.#handlers.add(own);
    for (const open of this.#open.values()) this.#show(open, own);
    return () => void this.#handlers.delete(own);
  }

  /** Whether somebody was shown *frame*. @param {Frame} frame */
  hear(frame) {
    const id = frame.callback_id;
    if (frame.type === "confirm_closed") this.#end(id, { status: frame.status, by: frame.by, at: frame.at });
    if (frame.type !== "task_step_result" || !id || this.#open.has(id) || this.#over.has(id)) return false;
    const open = { question: questionIn(frame, () => this.#core.now()), shown: new Set(), isAnswered: false };
    this.#open.set(id, open);
    for (const handler of [...this.#handlers]) this.#show(open, handler);
    return this.#handlers.size > 0;
  }

  /** Take back what was closed while the connection was lost (Q3). */
  async comeBack() {
    const shown = [...this.#open.keys()];
    if (!shown.length) return;
    try {
      const { confirms } = await this.#core.ask("list_confirms", {}, { repeatable: false });
      const open = new Set(confirms.map((/** @type {any} */ frame) => frame.callback_id));
      for (const id of shown) if (!open.has(id)) this.#end(id, { status: "closed" });
      for (const frame of confirms) this.hear(frame);
    } catch (error) {
      this.#core.grumble(error);
    }
  }

  /** The client has stopped: all are taken back, and shown again should it be asked to connect again. */
  stop() {
    for (const id of [...this.#open.keys()]) this.#close(id, { status: "closed" });
    this.#over.clear();
  }

  /** @param {Open} open @param {QuestionHandler} handler */
  async #show(open, handler) {
    const closing = new AbortController();
    open.shown.add(closing);
    try {
      const said = await handler(open.question, closing.signal);
      if (closing.signal.aborted || said === undefined || said === null) return;
      await this.#answer(open, closing, typeof said === "boolean" ? { proceed: said } : said);
    } catch (error) {
      if (!closing.signal.aborted) this.#core.grumble(error);
    }
  }

  /** @param {Open} open @param {AbortController} closing of the handler that said it @param {Answer} answer */
  async #answer(open, closing, answer) {
    if (open.isAnswered) return;
    open.isAnswered = true;
    const { callbackId: id, remainingMs } = open.question;
    try {
      // It counts until the question ends, however long the connection is lost.
      const patience = { timeoutMs: Math.max(remainingMs(), 1000) };
      const ack = await this.#core.ask("confirm", { ...answer, callback_id: id }, patience);
      if (COUNTS.has(ack.status)) open.shown.delete(closing);
      else this.#core.report(new FairleadError(ack.status, "this answer does not count", ack));
      if (ack.status !== INVALID) this.#close(id, { status: ack.status, by: ack.answer?.by, at: ack.answer?.at });
    } finally {
      open.isAnswered = false;
      if (open.ending) this.#close(id, open.ending);
    }
  }

  /** It is over; whose answer is under way will be told by what that comes to. @param {string} id @param {Closed} closed */
  #end(id, closed) {
    const open = this.#open.get(id);
    if (open?.isAnswered) open.ending = closed;
    else this.#close(id, closed);
  }

  /** @param {string} id @param {Closed} closed */
  #close(id, closed) {
    const open = this.#open.get(id);
    this.#open.delete(id);
    this.#over.add(id);
    if (this.#over.size > REMEMBERED) this.#over.delete(/** @type {string} */ (this.#over.values().next().value));
    for (const closing of open?.shown ?? []) closing.abort(closed);
  }
}

/** @param {Frame} frame @param {() => number} now @returns {Question} */
function questionIn(frame, now) {
  const { confirm = {} } = frame;
  const expiresAt = new Date(confirm.expires_at);
  const leftMs = expiresAt.getTime() - Date.parse(confirm.server_time) || Infinity; // when it was shown
  return {
    callbackId: frame.callback_id,
    taskId: frame.task_id ?? "",
    step: frame.step,
    kind: confirm.kind ?? "confirmation",
    message: confirm.message ?? frame.message ?? "",
    severity: confirm.severity ?? "info",
    choices: confirm.choices ?? [],
    schema: confirm.schema ?? null,
    feedback: confirm.feedback ?? "optional",
    onTimeout: confirm.on_timeout ?? "",
    expiresAt,
    remainingMs: () => Math.max(0, Math.min(leftMs, expiresAt.getTime() - now())),
    frame,
  };
}

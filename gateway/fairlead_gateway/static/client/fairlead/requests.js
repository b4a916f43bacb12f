import { timer } from "./closes.js";
import { asError } from "./ears.js";
import { FairleadError } from "./errors.js";

/** @import { RequestOptions } from "../fairlead.js" */
/** @import { Frame, Request } from "./types.d.ts" */

const MAX_WAITING = 1000;

/** Actions of which saying them again does no harm (A2). */
const BUILT_IN = new Set(
  `subscribe unsubscribe join_session leave_session message typing read ack confirm list_confirms subscribe_task
  unsubscribe_task cancel history get_state patch presence watch_live unwatch_live`.split(/\s+/),
);

/** What makes them harmless: an id of our own. @type {{ [action: string]: string }} */
const MARKS = { message: "message_id", patch: "patch_id" };

/** Requests that wait to be sent or answered, in the order in which they were asked (A). */
export class Requests {
  /** @type {Map<string, Request>} */
  #waiting = new Map();
  #name = [...crypto.getRandomValues(new Uint32Array(2))].map((number) => number.toString(36)).join("");
  #count = 0;
  #timeoutMs;
  #send;
  #answered;

  /**
   * @param {number} timeoutMs
   * @param {(frame: Frame) => boolean} send false while it cannot
   * @param {(asked: Frame, reply: Frame) => void} answered
   */
  constructor(timeoutMs, send, answered) {
    this.#timeoutMs = timeoutMs;
    this.#send = send;
    this.#answered = answered;
  }

  /** @param {string} action @param {Frame} fields @param {RequestOptions} options @returns {Promise<Frame>} */
  ask(action, fields, { timeoutMs = this.#timeoutMs, signal, repeatable = BUILT_IN.has(action) }) {
    if (this.#waiting.size >= MAX_WAITING) return refusal("too_many", `${MAX_WAITING} requests wait already`);
    if (signal?.aborted) return refusal("aborted", "it was given up before it was asked");
    const id = `${this.#name}.${++this.#count}`;
    const frame = { ...fields, action, id };
    if (MARKS[action]) frame[MARKS[action]] ??= id;
    return new Promise((resolve, reject) => {
      const end = () => {
        this.#waiting.delete(id);
        clearTimeout(timing);
        signal?.removeEventListener("abort", abort);
      };
      const fail = (/** @type {Error} */ error) => (end(), reject(error));
      const abort = () => fail(new FairleadError("aborted", "it was given up"));
      const late = () => fail(new FairleadError("timeout", `no answer within ${timeoutMs} ms`));
      const timing = setTimeout(late, timer(timeoutMs));
      signal?.addEventListener("abort", abort);
      const request = { frame, repeatable, isSent: false, deadline: Date.now() + timeoutMs, late, fail, end, resolve };
      this.#waiting.set(id, request);
      this.#say(request);
    });
  }

  /** Say what has waited for an open line. */
  flush() {
    for (const request of [...this.#waiting.values()]) {
      if (request.isSent) continue;
      // A timer that should have said so may sleep in a hidden page.
      if (Date.now() >= request.deadline) request.late();
      else this.#say(request);
    }
  }

  /** Whether *frame* answers one of them. @param {Frame} frame */
  settle(frame) {
    const request = this.#waiting.get(frame.ref);
    if (!request) return false;
    if (frame.type === "error") {
      request.fail(new FairleadError(frame.code, frame.message, frame.detail));
    } else {
      request.end();
      request.resolve(frame); // heard of later than what follows from it
      this.#answered(request.frame, frame);
    }
    return true;
  }

  /** Whether one of them is such that *is* holds. @param {(frame: Frame) => boolean} is */
  has(is) {
    return [...this.#waiting.values()].some(({ frame }) => is(frame));
  }

  /** The connection broke: some will be said again, others fail. @param {boolean} isTooLarge for the size of one of them, which is then not */
  lost(isTooLarge) {
    const [largest] = isTooLarge ? [...this.#waiting.values()].filter(({ isSent }) => isSent).sort((a, b) => size(b) - size(a)) : [];
    largest?.fail(new FairleadError("too_large", "the gateway takes no messages of this size", { size: size(largest) }));
    for (const request of [...this.#waiting.values()]) {
      if (request.isSent && !request.repeatable) {
        request.fail(new FairleadError("disconnected", "the connection broke before the answer"));
      }
      request.isSent = false;
    }
  }

  /** Nothing will be said any more. @param {FairleadError} error */
  stop(error) {
    for (const request of [...this.#waiting.values()]) request.fail(error);
  }

  /** @param {Request} request */
  #say(request) {
    try {
      request.isSent = this.#send(request.frame);
    } catch (error) {
      request.fail(asError(error)); // what no frame can carry
    }
  }
}

/** @param {string} code @param {string} message */
const refusal = (code, message) => Promise.reject(new FairleadError(code, message));

/** About how large it is on the wire. @param {Request} request */
const size = ({ frame }) => JSON.stringify(frame, (_, value) => (typeof value === "bigint" ? `${value}` : value)).length;

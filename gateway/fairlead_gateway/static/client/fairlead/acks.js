/** @import { Message } from "../fairlead.js" */

const TOGETHER_MS = 10;
const MAX_TOGETHER = 100;
const REMEMBERED = 1000;

/** Messages that want to be acknowledged: each is shown once, and acknowledged as often as it comes (M2). */
export class Acks {
  /** Whether it was acknowledged, by channel and id; the earliest are forgotten. @type {Map<string, boolean>} */
  #known = new Map();
  /** Ids by channel. @type {Map<string, string[]>} */
  #due = new Map();
  #say;
  #after;

  /** @param {(channel: string, ids: string[]) => void} say @param {import("./types.d.ts").After} after */
  constructor(say, after) {
    this.#say = say;
    this.#after = after;
  }

  /** Whether it came before; then it is acknowledged again. @param {Message} message */
  knows(message) {
    const acknowledged = this.#known.get(keyOf(message));
    if (acknowledged) this.#acknowledge(message);
    return acknowledged !== undefined;
  }

  /** It is being shown. @param {Message} message */
  begun(message) {
    this.#remember(keyOf(message), false);
  }

  /** It was shown. @param {Message} message */
  done(message) {
    this.#remember(keyOf(message), true);
    this.#acknowledge(message);
  }

  /** It was not, and may come again. @param {Message} message */
  failed(message) {
    this.#known.delete(keyOf(message));
  }

  /** Acknowledged by the application itself. @param {Message} message */
  noted(message) {
    this.#remember(keyOf(message), true);
  }

  /** Nothing is due any more. */
  forget() {
    this.#due.clear();
  }

  /** @param {Message} message */
  #acknowledge({ channel = "", id = "" }) {
    if (!this.#due.size) this.#after(TOGETHER_MS, () => this.#flush());
    const ids = this.#due.get(channel) ?? [];
    this.#due.set(channel, [...ids, id]);
    if (ids.length + 1 >= MAX_TOGETHER) this.#flush();
  }

  #flush() {
    for (const [channel, ids] of this.#due) this.#say(channel, [...new Set(ids)]);
    this.#due.clear();
  }

  /** @param {string} key @param {boolean} acknowledged */
  #remember(key, acknowledged) {
    this.#known.set(key, acknowledged);
    if (this.#known.size > REMEMBERED) this.#known.delete(/** @type {string} */ (this.#known.keys().next().value));
  }
}

/** @param {Message} message */
const keyOf = ({ channel, id }) => `${channel} ${id}`;

// One conversation: what was said, how far each of one's own words has come, who is typing, what is unread.

import { cell } from "../../dashboard/core/cell.js";
import { named } from "./names.js";

const KEPT = 300;
const FORGET_TYPING_MS = 10_000;
const GO_OUT_LATER_MS = 120_000;

/** How far a word of one's own has come; a later mark is never taken back. */
const RANK = { failed: -1, waiting: 0, sent: 1, delivered: 2, read: 3 };

/** @typedef {{ key: string, kind: "mine" | "theirs" | "event", text: string, id: string, from?: string, at: number,
 *     offset?: number, mark?: keyof typeof RANK, why?: string }} Line */

export class Talk {
  /** @type {import("../../dashboard/core/cell.js").Cell<Line[]>} */
  lines = cell([]);
  unread = cell(0);
  typing = cell([]); // names
  #typists = new Map(); // name -> timer
  #number = 0;
  #unreadId = "";
  #isRestored = false;

  constructor(name, me) {
    this.name = name;
    this.me = me;
  }

  /** @param {import("../../client/fairlead.js").Session} session */
  attach(session) {
    this.session = session;
  }

  async say(text) {
    const key = this.#add({ kind: "mine", text, mark: "waiting" });
    try {
      const reply = await this.session.send(text, { timeoutMs: GO_OUT_LATER_MS });
      this.#change(key, { id: reply.message_id, offset: reply.offset, mark: "sent", at: Date.now() });
      this.#sink(key);
    } catch (error) {
      this.#change(key, { mark: "failed", why: error.message });
    }
  }

  /** Show what was said before this window came, unless it had that before it was loaded again. */
  async open() {
    if (this.#isRestored) return;
    const { messages } = await this.session.history();
    const before = messages.filter((message) => message.type === "new_message" && !this.#shows(message));
    this.lines.set([...before.map((message) => this.#keyed(this.#line(message))), ...this.lines.value]);
  }

  /** Something was said by somebody else, or by this user in another window. */
  heard(message, isSeen) {
    if (this.#shows(message)) return;
    const line = this.#line(message);
    this.#stopped(line.from);
    this.#add(line);
    if (line.kind === "mine") return;
    this.unread.set(this.unread.value + 1);
    this.#unreadId = message.from?.startsWith("user:") ? message.id : this.#unreadId;
    if (isSeen) this.seen();
  }

  /** Whoever looks at it has read it. */
  seen() {
    this.unread.set(0);
    const id = this.#unreadId;
    this.#unreadId = "";
    // One that cannot be had any more needs no receipt.
    if (id) this.session?.read(id).catch(() => {});
  }

  /** How far a message has come; whoever reads one has read those before it. */
  marked({ message_id: id, status, user_id: by }) {
    if (!(status in RANK)) return;
    if (status === "read" && by === this.me) return this.unread.set(0);
    const at = this.lines.value.findIndex((line) => line.id === id);
    const isMeant = (line, place) =>
      line.kind === "mine" && (place === at || (status === "read" && place < at)) && RANK[line.mark] > 0;
    this.lines.set(
      this.lines.value.map((line, place) =>
        isMeant(line, place) && RANK[status] > RANK[line.mark] ? { ...line, mark: status } : line,
      ),
    );
  }

  types({ user_id: who, is_typing: isTyping }) {
    if (who === this.me) return;
    this.#stopped(who);
    if (!isTyping) return;
    this.#typists.set(who, setTimeout(() => this.#stopped(who), FORGET_TYPING_MS));
    this.typing.set([...this.#typists.keys()]);
  }

  tell(text) {
    this.#add({ kind: "event", text });
  }

  /** Who has not been heard of typing for so long has stopped. */
  #stopped(who) {
    clearTimeout(this.#typists.get(who));
    if (this.#typists.delete(who)) this.typing.set([...this.#typists.keys()]);
  }

  /** What is read and pushed comes twice. */
  #shows(message) {
    return this.lines.value.some(({ id }) => id === message.id);
  }

  #line({ from: sender, content, timestamp, id, offset }) {
    const from = named(sender);
    const text = typeof content === "string" ? content : JSON.stringify(content);
    const kind = from === this.me ? "mine" : "theirs";
    const mark = kind === "mine" ? "sent" : undefined;
    return { kind, text, from, at: Date.parse(timestamp) || Date.now(), id, offset, mark };
  }

  #keyed(line) {
    return { id: "", at: Date.now(), ...line, key: `${this.name}-${++this.#number}` };
  }

  #add(line) {
    const keyed = this.#keyed(line);
    this.lines.set([...this.lines.value.slice(1 - KEPT), keyed]);
    return keyed.key;
  }

  #change(key, facts) {
    this.lines.set(this.lines.value.map((line) => (line.key === key ? { ...line, ...facts } : line)));
  }

  /** What others said while this was on its way, and before it, goes above it: all windows have the same order. */
  #sink(key) {
    const lines = [...this.lines.value];
    const place = lines.findIndex((line) => line.key === key);
    const to = lines.findLastIndex((line, at) => at > place && line.offset < lines[place].offset);
    if (place < 0 || to < 0) return;
    lines.splice(to, 0, ...lines.splice(place, 1));
    this.lines.set(lines);
  }

  // -- across a reload ---------------------------------------------------------------------------

  keep() {
    return this.lines.value.filter((line) => line.mark !== "waiting");
  }

  restore(lines) {
    this.#isRestored = lines.length > 0;
    this.lines.set(lines.map((line) => this.#keyed(line)));
  }
}

/** @import { Position, Positions } from "../fairlead.js" */
/** @import { Frame, Seated } from "./types.d.ts" */

const MAX_IN_CONNECT = 100;
const RETRY_MS = 1000;

/** What a reply means for the channels. @type {{ [action: string]: "sit" | "leave" }} */
const SEATING = {
  ...{ subscribe: "sit", join_session: "sit", subscribe_task: "sit" },
  ...{ unsubscribe: "leave", leave_session: "leave", unsubscribe_task: "leave" },
};

/** @param {string} channel */
const isOwn = (channel) => /^(user|role):/.test(channel);

/** A position that somebody kept. @param {string} channel @param {any} kept @returns {Position} @throws {TypeError} it is none */
function given(channel, kept) {
  const { offset, epoch, id } = kept ?? {};
  if (Number.isInteger(offset) && offset >= 0 && typeof epoch === "string") return { offset, epoch, ...(id && { id }) };
  throw new TypeError(`positions: ${channel} has no offset and epoch; leave it out to begin anew there`);
}

/** The channels that a request is about. @param {Frame} fields @returns {string[]} */
const named = ({ channels, session_id: session, task_id: task }) =>
  channels ?? [session === undefined ? `task:${task}` : `session:${session}`];

/** Which channels are heard, and how far (P, C1). */
export class Channels {
  /** @type {Map<string, Position>} */
  #positions = new Map();
  /** @type {Set<string>} */
  #asked = new Set();
  /** Channels with a hole that is being asked for. @type {Set<string>} */
  #holes = new Set();
  /** Behind which offset something was missing last, by channel. @type {Map<string, number>} */
  #missing = new Map();
  /** Epochs of channels that go on from where the gateway knows: after the cursor of a device. @type {Map<string, string>} */
  #resumed = new Map();
  #owner;

  /** @param {Positions} positions @param {Seated} owner */
  constructor(positions, owner) {
    for (const [channel, position] of Object.entries(positions)) this.#positions.set(channel, given(channel, position));
    this.#owner = owner;
  }

  get positions() {
    return Object.fromEntries([...this.#positions].map(([channel, position]) => [channel, { ...position }]));
  }

  /** What `connect` says of channels: as many as it can hold. */
  get recover() {
    return Object.fromEntries(this.#names.slice(0, MAX_IN_CONNECT).map((channel) => [channel, this.#position(channel)]));
  }

  /** What `connect` could not hold is asked for now. */
  comeBack() {
    for (const channel of this.#names.slice(MAX_IN_CONNECT)) this.#fill(channel);
  }

  /** What follows from a reply; at once, since what was missed may be behind it in the same breath. @param {Frame} asked @param {Frame} reply */
  answered(asked, reply) {
    const { action } = asked;
    if (SEATING[action] === "sit") {
      for (const [channel, told] of Object.entries(reply.channels ?? {})) {
        this.#asked.add(channel);
        this.stand(channel, told, asked.recover !== undefined);
      }
    } else if (SEATING[action] === "leave") {
      this.leaveAll(asked);
    } else if (action === "refresh") {
      for (const channel of reply.removed ?? []) this.stand(channel, { recovered: false, code: "forbidden" });
    }
  }

  /** Leave the channels that a request names. @param {Frame} fields */
  leaveAll(fields) {
    for (const channel of named(fields)) this.#leave(channel);
  }

  /** Whether *asked* is a request for one of the channels that *fields* name. @param {Frame} asked @param {Frame} fields */
  meet(asked, fields) {
    return SEATING[asked.action] === "sit" && named(asked).some((channel) => named(fields).includes(channel));
  }

  /** @param {string} channel */
  #leave(channel) {
    this.#asked.delete(channel);
    for (const facts of [this.#positions, this.#holes, this.#missing, this.#resumed]) facts.delete(channel);
  }

  /**
   * Take over what was said about a channel; what was missed there follows.
   * @param {string} channel @param {any} told @param {boolean} [isAsked] whether it was said what is missing
   */
  stand(channel, told, isAsked = true) {
    const { offset, epoch, recovered, code } = told ?? {};
    const position = this.#positions.get(channel);
    if (isAsked) this.#holes.delete(channel);
    const goesOn = position && (recovered ?? position.epoch === epoch);
    const missed = goesOn && offset > position.offset ? offset - position.offset : 0;
    if (code) this.#leave(channel);
    else if (goesOn) position.epoch = epoch;
    else if (recovered) this.#resumed.set(channel, epoch);
    else if (epoch) this.#positions.set(channel, { offset, epoch });
    if (recovered === undefined) return;
    this.#owner.told({ channel, recovered, missed: recovered ? missed : 0, ...(code && { code }) });
  }

  /** `epoch_changed` (P4). @param {Frame} frame */
  turn({ channel, offset, epoch, recovered }) {
    const position = this.#positions.get(channel);
    if (position && recovered) position.epoch = epoch;
    else this.#positions.set(channel, { offset, epoch });
    this.#owner.told({ channel, recovered, missed: 0 });
  }

  /** Whether *frame* is to be shown: the offset check (P1, P2, P3). @param {Frame} frame */
  takes({ type, channel, offset, id }) {
    if (!channel || !offset) return type !== "skipped";
    const position = this.#positions.get(channel);
    if (position && offset <= position.offset) return false;
    if (position && offset > position.offset + 1 && !this.#passes(channel, position)) return false;
    const proof = type !== "skipped" && id ? { id } : {};
    this.#positions.set(channel, { offset, epoch: position?.epoch ?? this.#resumed.get(channel) ?? "", ...proof });
    return type !== "skipped";
  }

  /** Whether to go on beyond a hole, since what is missing did not come when it was asked for. @param {string} channel @param {Position} position */
  #passes(channel, { offset }) {
    if (this.#holes.has(channel)) return false;
    const isLost = this.#missing.get(channel) === offset;
    this.#missing.set(channel, offset);
    if (isLost) this.#owner.told({ channel, recovered: false, missed: 0 });
    else this.#fill(channel);
    return isLost;
  }

  /** The connection broke: what is missing is asked for when it is back. */
  lost() {
    this.#holes.clear();
  }

  /** One's own first, which can only be named in `connect`. */
  get #names() {
    const names = [...new Set([...this.#positions.keys(), ...this.#asked])];
    return [...names.filter(isOwn), ...names.filter((channel) => !isOwn(channel))];
  }

  /** @param {string} channel */
  #position(channel) {
    return this.#positions.get(channel) ?? { offset: 0, epoch: "" };
  }

  /** Ask, once, for what is missing; the reply is for `stand`. @param {string} channel */
  async #fill(channel) {
    if (this.#holes.has(channel)) return;
    if (channel.startsWith("role:")) return this.#owner.again(); // nobody can ask for it
    this.#holes.add(channel);
    const recover = { [channel]: this.#position(channel) };
    const session = channel.startsWith("session:") && channel.slice("session:".length);
    const [action, where] = session ? ["join_session", { session_id: session }] : ["subscribe", { channels: [channel] }];
    try {
      await this.#owner.ask(action, { ...where, recover }, { repeatable: false });
    } catch (/** @type {any} */ error) {
      if (!this.#holes.has(channel)) return;
      if (error.code === "forbidden") return this.stand(channel, { recovered: false, code: error.code });
      this.#owner.after(error.detail?.retry_ms ?? RETRY_MS, () => this.#holes.delete(channel) && this.#fill(channel));
    }
  }
}

import { Acks } from "./acks.js";
import { Channels } from "./channels.js";
import { timer } from "./closes.js";
import { Ears } from "./ears.js";
import { FairleadError } from "./errors.js";
import { Line } from "./line.js";
import { Questions } from "./questions.js";
import { Requests } from "./requests.js";
import { Tokens } from "./tokens.js";

/** @import { RequestOptions } from "../fairlead.js" */

const NEVER_ASK_SOONER_MS = 1000;

/** Frames that answer something, where they have a `ref`. */
const ANSWERS = new Set(["reply", "error", "pong", "confirm_ack"]);

/** What a reply means for the channels. @type {{ [action: string]: "sit" | "leave" }} */
const SEATING = {
  ...{ subscribe: "sit", join_session: "sit", subscribe_task: "sit" },
  ...{ unsubscribe: "leave", leave_session: "leave", unsubscribe_task: "leave" },
};

/**
 * What keeps up with a channel.
 * @typedef {object} Mirror
 * @property {(frame: any) => boolean} hear false for what is not to be shown
 * @property {(recovery: import("../fairlead.js").Recovery) => void} [recovered]
 * @property {(error: Error) => void} [stopped]
 */

/** What a client is made of: every frame passes here, inwards and outwards. */
export class Core {
  connectionId = "";
  userId = "";
  replica = "";
  /** Mirrors of what is heard: tasks and instances, by channel. @type {Map<string, Mirror>} */
  mirrors = new Map();
  #options;
  #ahead = 0; // of our clock, ms
  /** @type {Set<() => void>} */
  #timers = new Set();
  /** @type {Error | undefined} */
  #end;
  /** @type {any} */
  #renewal;

  /** @param {URL} url @param {import("./options.js").Given} options */
  constructor(url, options) {
    this.#options = options;
    const report = (/** @type {Error} */ error) => this.report(error);
    const after = (/** @type {number} */ ms, /** @type {() => void} */ then) => this.after(ms, then);
    const ask = (/** @type {string} */ action, /** @type {object} */ fields, rest = {}) => this.ask(action, fields, rest);
    this.errors = new Ears((error) => console.error(error));
    this.messages = new Ears(report);
    this.notices = new Ears(report);
    this.tokens = new Tokens(options.token);
    this.line = new Line(url, options, this.tokens, {
      hello: () => this.#hello(),
      greeted: (greeting) => this.#greeted(greeting),
      settled: (greeting) => this.#settled(greeting),
      heard: (frame) => this.#heard(frame),
      lost: () => this.#lost(),
      stopped: (error) => this.#stopped(error),
      changed: (change) => this.notices.tell(["state"], change),
      seen: (way, frame) => this.#seen(way, frame),
      failed: report,
      now: () => this.now(),
    });
    this.requests = new Requests(
      options.replyTimeoutMs,
      (frame) => this.line.send(frame),
      (action, asked, reply) => this.#answered(action, asked, reply),
    );
    this.channels = new Channels(options.positions ?? {}, ask, (recovery) => this.#recovered(recovery), after);
    this.acks = new Acks((channel, ids) => this.#acknowledge(channel, ids), after);
    this.questions = new Questions(this);
  }

  /** Milliseconds since 1970 by the gateway's clock (O5). */
  now() {
    return Date.now() + this.#ahead;
  }

  /** @param {string} action @param {any} fields @param {RequestOptions} [options] @returns {Promise<any>} */
  ask(action, fields = {}, options = {}) {
    if (this.line.state === "stopped") return Promise.reject(this.#end);
    return this.requests.ask(action, fields, options);
  }

  /** Do *then* later, unless the client stops before. @param {number} ms @param {() => void} then @returns {() => void} what ends it */
  after(ms, then) {
    const waiting = setTimeout(() => (end(), then()), timer(ms));
    const end = () => {
      clearTimeout(waiting);
      this.#timers.delete(end);
    };
    this.#timers.add(end);
    return end;
  }

  /** @param {Error} error */
  report(error) {
    if (this.errors.has("error")) this.errors.tell(["error"], error);
    else console.error(error);
  }

  // -- what the line tells -------------------------------------------------------------------------

  #hello() {
    const { recover } = this.channels;
    const { deviceId } = this.#options;
    if (!deviceId && !Object.keys(recover).length) return null;
    return { ...(deviceId && { device_id: deviceId }), recover };
  }

  /** @param {any} greeting */
  #greeted(greeting) {
    this.connectionId = greeting.connection_id ?? "";
    this.userId = greeting.user_id ?? "";
    this.replica = greeting.replica ?? "";
    this.#ahead = Date.parse(greeting.server_time) - Date.now() || 0;
    this.channels.comeBack();
    this.requests.flush();
    this.questions.comeBack();
  }

  /** @param {any} greeting */
  #settled(greeting) {
    for (const [channel, told] of Object.entries(greeting.channels ?? {})) this.channels.stand(channel, told);
    this.#renewInTime();
  }

  #lost() {
    clearTimeout(this.#renewal);
    this.channels.lost();
    this.requests.lost();
  }

  /** @param {FairleadError} error */
  #stopped(error) {
    this.#end = error;
    clearTimeout(this.#renewal);
    for (const end of [...this.#timers]) end();
    this.channels.lost();
    this.acks.forget();
    this.requests.stop(error);
    for (const mirror of this.mirrors.values()) mirror.stopped?.(error);
  }

  /** @param {any} frame */
  #heard(frame) {
    const { type } = frame;
    // What comes late is a message of the user's own channel.
    if (ANSWERS.has(type) && !frame.late) this.#settle(frame);
    else if (type === "epoch_changed") this.channels.turn(frame);
    else if (this.channels.takes(frame)) this.#deliver(frame);
    else if (frame.requires_ack) this.acks.knows(frame);
  }

  /** @param {any} frame */
  #settle(frame) {
    if (frame.ref) this.requests.settle(frame);
    else if (frame.type === "error") this.report(new FairleadError(frame.code, frame.message, frame.detail));
  }

  /** @param {any} frame */
  async #deliver(frame) {
    if (frame.late && this.requests.settle(frame)) return;
    if (frame.requires_ack && this.acks.knows(frame)) return;
    if (frame.requires_ack) this.acks.begun(frame);
    if (this.mirrors.get(frame.channel)?.hear(frame) === false) return;
    const isShown = this.questions.hear(frame);
    const told = this.messages.tell([frame.type, "*"], frame);
    if (!frame.requires_ack || !this.#options.autoAck) return;
    if ((isShown || told.length) && (await Promise.all(told)).every(Boolean)) this.acks.done(frame);
    else this.acks.failed(frame);
  }

  /** @param {"in" | "out"} way @param {any} frame */
  #seen(way, frame) {
    const { token: _, ...shown } = frame;
    if (this.notices.has("frame")) this.notices.tell(["frame"], way, "token" in frame ? shown : frame);
  }

  // -- what follows from replies ---------------------------------------------------------------------

  /** At once, since what was missed may be behind it in the same breath. @param {string} action @param {any} asked @param {any} reply */
  #answered(action, asked, reply) {
    if (SEATING[action] === "sit") {
      for (const [channel, told] of Object.entries(reply.channels ?? {})) {
        this.channels.keep(channel);
        this.channels.stand(channel, told);
      }
    } else if (SEATING[action] === "leave") {
      for (const channel of channelsOf(asked)) this.channels.leave(channel);
    } else if (action === "refresh") {
      for (const channel of reply.removed ?? []) this.channels.stand(channel, { recovered: false, code: "forbidden" });
    }
  }

  /** Hear channels no more. @param {string} action @param {any} fields */
  async leave(action, fields) {
    for (const channel of channelsOf(fields)) this.channels.leave(channel);
    const { state } = this.line;
    // Elsewhere it is enough not to ask for them again.
    if (state === "open" || state === "connecting") await this.ask(action, fields);
  }

  /** @param {import("../fairlead.js").Recovery} recovery */
  #recovered(recovery) {
    this.notices.tell(["recovered"], recovery);
    this.mirrors.get(recovery.channel)?.recovered?.(recovery);
  }

  /** @param {string} channel @param {string[]} ids */
  #acknowledge(channel, ids) {
    const asked = this.ask("ack", { message_ids: ids, ...(channel && { channel }) });
    asked.catch((error) => error.code === "closed" || this.report(error)); // they come again
  }

  // -- a token in time (T1) ----------------------------------------------------------------------------

  /** @param {string} [end] */
  #renewInTime(end) {
    clearTimeout(this.#renewal);
    const ms = this.tokens.due(end ? Date.parse(end) : undefined) - this.now();
    if (this.tokens.isFixed || !(ms < Infinity)) return;
    this.#renewal = setTimeout(
      () => (ms > timer(ms) ? this.#renewInTime(end) : this.#renew()),
      Math.max(timer(ms), NEVER_ASK_SOONER_MS),
    );
  }

  async #renew() {
    try {
      const token = await this.tokens.ask("expires", this.now());
      if (!token || this.line.state !== "open") return;
      const { expires_at: end } = await this.ask("refresh", { token }, { repeatable: false });
      if (this.line.state === "open") this.#renewInTime(end);
    } catch (error) {
      this.report(/** @type {Error} */ (error)); // 4401 will tell (T2)
    }
  }
}

/** The channels that a request names. @param {any} fields @returns {string[]} */
const channelsOf = ({ channels, session_id: session, task_id: task }) =>
  channels ?? (session === undefined ? [`task:${task}`] : [`session:${session}`]);

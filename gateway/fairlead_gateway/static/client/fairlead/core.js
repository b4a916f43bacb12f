import { Acks } from "./acks.js";
import { Channels } from "./channels.js";
import { timer } from "./closes.js";
import { Ears, asError } from "./ears.js";
import { FairleadError } from "./errors.js";
import { Line } from "./line.js";
import { Questions } from "./questions.js";
import { Renewal } from "./renewal.js";
import { Requests } from "./requests.js";
import { Tokens } from "./tokens.js";

/** @import { Recovery, RequestOptions } from "../fairlead.js" */
/** @import { Frame, Given, Mirror } from "./types.d.ts" */

/** Frames that answer something, where they have a `ref`; in a channel they are messages of somebody who calls them so. */
const ANSWERS = new Set(["reply", "error", "pong", "confirm_ack"]);

const TOO_LARGE = 1009;

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

  /** @param {URL} url @param {Given} options */
  constructor(url, options) {
    this.#options = options;
    const report = (/** @type {Error} */ error) => this.report(error);
    const after = this.after.bind(this);
    this.errors = new Ears((error) => console.error(error));
    this.messages = new Ears(report);
    this.notices = new Ears(report);
    this.tokens = new Tokens(options.token);
    this.line = new Line(url, options, this.tokens, {
      hello: () => this.#hello(),
      greeted: (greeting) => this.#greeted(greeting),
      settled: (greeting) => this.#settled(greeting),
      heard: (frame) => this.#heard(frame),
      lost: (code) => this.#lost(code),
      stopped: (error) => this.#stopped(error),
      changed: (change) => this.notices.tell(["state"], change),
      seen: (way, frame) => this.#seen(way, frame),
      failed: report,
      now: () => this.now(),
    });
    this.requests = new Requests(
      options.replyTimeoutMs,
      (frame) => this.line.send(frame),
      (asked, reply) => this.channels.answered(asked, reply),
    );
    this.channels = new Channels(options.positions ?? {}, {
      ask: this.ask.bind(this),
      after,
      told: (recovery) => this.#recovered(recovery),
      again: () => this.line.again(),
    });
    this.acks = new Acks((channel, ids) => this.#acknowledge(channel, ids), after);
    this.questions = new Questions(this);
    this.renewal = new Renewal(this);
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

  /** Report what went wrong by the way, unless it is that the connection has ended. @param {any} error */
  grumble(error) {
    if (error.code !== "disconnected" && error.code !== "closed") this.report(asError(error));
  }

  // -- what the line tells -------------------------------------------------------------------------

  #hello() {
    const { recover } = this.channels;
    const { deviceId, token } = this.#options;
    const hasMore = Object.keys(recover).length > 0;
    // Without a token nobody would be answered before it has said something.
    if (!deviceId && !hasMore && token !== undefined) return null;
    return { ...(deviceId && { device_id: deviceId }), ...(hasMore && { recover }) };
  }

  /** @param {Frame} greeting */
  #greeted(greeting) {
    this.connectionId = greeting.connection_id ?? "";
    this.userId = greeting.user_id ?? "";
    this.replica = greeting.replica ?? "";
    this.#ahead = Date.parse(greeting.server_time) - Date.now() || 0;
    this.channels.comeBack();
    this.requests.flush();
    this.questions.comeBack();
  }

  /** @param {Frame} greeting */
  #settled(greeting) {
    for (const [channel, told] of Object.entries(greeting.channels ?? {})) this.channels.stand(channel, told);
    if (this.line.state === "open") this.renewal.plan();
  }

  /** @param {number} code */
  #lost(code) {
    this.renewal.stop();
    this.channels.lost();
    this.requests.lost(code === TOO_LARGE);
  }

  /** @param {FairleadError} error */
  #stopped(error) {
    this.#end = error;
    this.renewal.stop();
    for (const end of [...this.#timers]) end();
    this.channels.lost();
    this.acks.forget();
    this.requests.stop(error);
    this.questions.stop();
    for (const mirror of this.mirrors.values()) mirror.stopped?.(error);
  }

  /** @param {Frame} frame */
  #heard(frame) {
    const { type } = frame;
    // What comes late is a message of the user's own channel.
    if (ANSWERS.has(type) && !frame.late && (frame.ref || !frame.channel)) this.#settle(frame);
    else if (type === "epoch_changed" && frame.epoch) this.channels.turn(frame);
    else if (this.channels.takes(frame)) this.#deliver(frame).catch((error) => this.report(asError(error)));
    else if (frame.requires_ack) this.acks.knows(frame);
  }

  /** @param {Frame} frame */
  #settle(frame) {
    if (frame.ref) this.requests.settle(frame);
    else if (frame.type === "error") this.report(new FairleadError(frame.code, frame.message, frame.detail));
  }

  /** @param {Frame} frame */
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

  /** @param {"in" | "out"} way @param {Frame} frame */
  #seen(way, frame) {
    const { token: _, ...shown } = frame;
    if (this.notices.has("frame")) this.notices.tell(["frame"], way, "token" in frame ? shown : frame);
  }

  /** Hear channels no more. @param {string} action @param {any} fields */
  async leave(action, fields) {
    this.channels.leaveAll(fields);
    const { state } = this.line;
    const isAway = state !== "open" && state !== "connecting";
    // Elsewhere it is enough not to ask for them again, unless that has been done.
    if (isAway && !this.requests.has((asked) => this.channels.meet(asked, fields))) return;
    const asking = this.ask(action, fields);
    if (isAway) return void asking.catch((error) => this.grumble(error));
    await asking.catch((error) => {
      if (error.code !== "closed") throw error;
    });
  }

  /** @param {Recovery} recovery */
  #recovered(recovery) {
    this.notices.tell(["recovered"], recovery);
    this.mirrors.get(recovery.channel)?.recovered?.(recovery);
  }

  /** @param {string} channel @param {string[]} ids */
  #acknowledge(channel, ids) {
    const asked = this.ask("ack", { message_ids: ids, ...(channel && { channel }) });
    asked.catch((error) => this.grumble(error)); // they come again
  }
}

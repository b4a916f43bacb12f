import { backoff, deed, delay, timer, wording } from "./closes.js";
import { asError } from "./ears.js";
import { FairleadError } from "./errors.js";
import { Pulse } from "./pulse.js";
import { isOffline, listen } from "./system.js";
import { Wire } from "./wire.js";

/** @import { State } from "../fairlead.js" */
/** @import { Frame, Given, Owner } from "./types.d.ts" */

const STEADY_MS = 5000; // open for so long, it counts as a success
const HURRY_MS = 3000;
const OFFLINE_MS = 20_000; // what the system says is not believed for longer

/** The connection over all its sockets: when to try, with what, and when it is over (S, O, R, H). */
export class Line {
  /** @type {State} */
  state = "idle";
  #url;
  #options;
  #tokens;
  #owner;
  #turn = {}; // of this try; what an earlier one still brings is not for us
  #tries = 0;
  #refusals = 0;
  #openedAt = 0;
  #waitsSince = 0;
  /** @type {Wire | null} */
  #wire = null;
  /** @type {Pulse | null} */
  #pulse = null;
  /** @type {any} */
  #timer;
  #opening = resolvers();
  /** @type {(() => void)[]} */
  #unlisten = [];

  /** @param {URL} url @param {Given} options @param {import("./tokens.js").Tokens} tokens @param {Owner} owner */
  constructor(url, options, tokens, owner) {
    this.#url = url;
    this.#options = options;
    this.#tokens = tokens;
    this.#owner = owner;
  }

  /** @returns {Promise<void>} */
  connect() {
    if (this.state === "idle" || this.state === "stopped") {
      this.#opening = resolvers();
      this.#tries = this.#refusals = this.#openedAt = 0;
      this.#unlisten = listen(() => this.check());
      if (isOffline()) this.#wait(0, 0, "offline", "");
      else this.#try();
    }
    return this.#opening.promise;
  }

  close() {
    if (this.state === "stopped") return;
    this.#end(1000);
    this.#stop(1000, "closed", "");
  }

  check() {
    if (this.state === "open") this.#pulse?.ask(Math.min(HURRY_MS, this.#options.pongTimeoutMs));
    else if (this.state === "waiting" && !isOffline()) this.#try();
  }

  /** Say it if the line is open. @param {Frame} frame */
  send(frame) {
    if (this.state !== "open") return false;
    this.#say(frame);
    return true;
  }

  /** Come back for what can be had no other way. */
  again() {
    this.#drop("hole", "something is missing that only coming back brings");
  }

  // -- a try -------------------------------------------------------------------------------------

  async #try() {
    clearTimeout(this.#timer);
    const turn = (this.#turn = {});
    this.#tries += 1;
    this.#change("connecting");
    if (turn !== this.#turn) return;
    let token;
    try {
      token = await this.#tokens.get(this.#owner.now());
    } catch (thrown) {
      if (turn !== this.#turn) return;
      const error = asError(thrown);
      this.#owner.failed(error);
      if (turn === this.#turn) this.#backOff(0, "token_failed", error.message);
      return;
    }
    if (turn !== this.#turn) return;
    if (token === null) this.#stop(0, "no_token", "there is no token");
    else this.#open(token, turn);
  }

  /** @param {string} token @param {object} turn */
  #open(token, turn) {
    const hello = this.#owner.hello();
    const url = new URL(this.#url);
    if (hello) url.searchParams.set("wait", "connect");
    try {
      this.#wire = new Wire(this.#options.WebSocket, url.href, token, this.#options.msgpack, {
        opened: () => hello && this.#say({ action: "connect", ...hello }),
        heard: (frame) => turn === this.#turn && this.#heard(frame),
        closed: (code, reason) => turn === this.#turn && this.#closed(code, reason),
        failed: (error) => this.#owner.failed(asError(error)),
      });
    } catch (error) {
      return this.#stop(0, "bad_request", asError(error).message); // no address, or a token that no header can hold
    }
    const { openTimeoutMs } = this.#options;
    this.#timer = setTimeout(() => this.#drop("no_greeting", `no greeting within ${openTimeoutMs} ms`), timer(openTimeoutMs));
  }

  /** @param {Frame} frame */
  #heard(frame) {
    this.#owner.seen("in", frame);
    if (this.state === "open") {
      this.#pulse?.heard();
      this.#owner.heard(frame);
    } else if (frame.type === "connection_established") {
      this.#greeted(frame);
    }
  }

  /** @param {Frame} greeting */
  #greeted(greeting) {
    clearTimeout(this.#timer);
    const { heartbeatMs, pongTimeoutMs } = this.#options;
    this.#openedAt = Date.now();
    const interval = heartbeatMs ?? 1000 * (greeting.heartbeat?.interval || 30);
    const ping = () => this.#say({ action: "ping", id: `ping-${Date.now()}` });
    const dead = () => this.#drop("half_open", "the gateway is silent");
    this.#pulse = new Pulse(interval, pongTimeoutMs, ping, dead);
    const turn = this.#turn;
    this.state = "open";
    this.#owner.greeted(greeting);
    if (turn === this.#turn) this.#change("open");
    if (turn !== this.#turn) return;
    this.#owner.settled(greeting);
    this.#opening.resolve();
  }

  /** @param {Frame} frame */
  #say(frame) {
    this.#owner.seen("out", frame);
    this.#wire?.send(frame);
  }

  // -- the end of it -----------------------------------------------------------------------------

  /** Let go of a socket that says nothing. @param {string} word @param {string} text */
  #drop(word, text) {
    this.#end();
    this.#backOff(1006, word, text);
  }

  /** @param {number} code @param {string} reason */
  #closed(code, reason) {
    const { word, text } = wording(code, reason);
    const does = deed(code);
    this.#end();
    if (does === "stop" || (does === "token" && this.#tokens.isFixed)) return this.#stop(code, word, text);
    const ms = does === "delay" ? delay(text) : null;
    if (does === "token") {
      this.#tokens.refused();
      this.#refusals += 1;
      if (this.#refusals === 1) return this.#wait(0, code, word, text);
    }
    if (ms === null) this.#backOff(code, word, text);
    else this.#wait(ms, code, word, text);
  }

  /** This try is over. @param {number} [code] */
  #end(code) {
    clearTimeout(this.#timer);
    this.#turn = {};
    this.#pulse?.stop();
    this.#wire?.letGo(code);
    this.#pulse = this.#wire = null;
    if (this.state === "open" && Date.now() - this.#openedAt >= STEADY_MS) this.#tries = this.#refusals = 0;
  }

  /** @param {number} code @param {string} word @param {string} text */
  #backOff(code, word, text) {
    this.#wait(backoff(this.#tries, this.#options.backoffMinMs, this.#options.backoffMaxMs), code, word, text);
  }

  /** @param {number} ms @param {number} code @param {string} word @param {string} text */
  #wait(ms, code, word, text) {
    clearTimeout(this.#timer);
    this.#waitsSince = Date.now();
    const wait = isOffline() ? Math.max(ms, OFFLINE_MS) : ms;
    this.#timer = setTimeout(() => this.#due(), wait);
    this.#owner.lost();
    this.#change("waiting", code, word, text, wait);
  }

  #due() {
    const left = isOffline() ? this.#waitsSince + OFFLINE_MS - Date.now() : 0;
    if (left > 0) this.#timer = setTimeout(() => this.#due(), timer(left));
    else this.#try();
  }

  /** @param {number} code @param {string} word @param {string} text */
  #stop(code, word, text) {
    clearTimeout(this.#timer);
    this.#turn = {};
    for (const end of this.#unlisten.splice(0)) end();
    this.state = "stopped";
    this.#owner.stopped(new FairleadError("closed", `the client has stopped: ${text || word}`, { code, word }));
    this.#opening.reject(new FairleadError(word, text || word, { code }));
    this.#change("stopped", code, word, text);
  }

  /** @param {State} state */
  #change(state, code = 0, word = "", text = "", retryInMs = 0) {
    this.state = state;
    this.#owner.changed({ state, code, word, text, attempt: this.#tries, retryInMs });
  }
}

/** @returns {{ promise: Promise<void>, resolve(): void, reject(error: Error): void }} */
function resolvers() {
  /** @type {any} */
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  made.promise.catch(() => {}); // told by the state, too
  return made;
}

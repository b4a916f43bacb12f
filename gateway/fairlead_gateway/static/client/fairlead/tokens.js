/** Where tokens come from, and how long they last (O2, T1). */
export class Tokens {
  #source;
  #token = "";
  #since = 0; // when it was given, by the gateway's clock
  /** @type {import("../fairlead.js").TokenReason} */
  #reason = "connect";

  /** @param {import("../fairlead.js").TokenSource | undefined} source */
  constructor(source) {
    this.#source = typeof source === "string" ? proper(source) : source;
  }

  /** Whether there is never another one. */
  get isFixed() {
    return typeof this.#source !== "function";
  }

  /** A token for a try: "" for none, null where there should be one. @param {number} now */
  async get(now) {
    if (typeof this.#source !== "function") return this.#source === undefined ? "" : this.#source || null;
    if (this.#token && now < this.#end) return this.#token;
    return (await this.ask(this.#reason, now)) || null;
  }

  /** Ask for another one; false when it is none, or the same. @param {import("../fairlead.js").TokenReason} reason @param {number} now */
  async ask(reason, now) {
    const token = typeof this.#source === "function" && proper((await this.#source(reason)) || "");
    if (!token || (token === this.#token && reason === "expires")) return false;
    this.#reason = "connect";
    this.#since = now;
    return (this.#token = token);
  }

  refused() {
    this.#token = "";
    this.#reason = "refused";
  }

  /**
   * When to ask for the next one, in ms since 1970: 30 s before the end, or at nine tenths of its life if that is later.
   * @param {number} end as the gateway says, where the token does not
   */
  due(end) {
    const ends = this.#end < Infinity ? this.#end : end;
    const begins = 1000 * claims(this.#token).iat || this.#since;
    return Math.max(ends - 30_000, begins + 0.9 * (ends - begins));
  }

  get #end() {
    return 1000 * claims(this.#token).exp || Infinity;
  }
}

/** A token as a header can hold it. @param {unknown} token @returns {string} @throws {TypeError} without a word of it */
function proper(token) {
  const text = typeof token === "string" ? token.trim() : " ";
  if (/^[!-~]*$/.test(text)) return text;
  throw new TypeError("a token is a string of printable ASCII without spaces");
}

/** What a token says, unverified; nothing where it is no JWT. @param {string} token @returns {any} */
function claims(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))) ?? {};
  } catch {
    return {};
  }
}

import { timer } from "./closes.js";

const NEVER_SOONER_MS = 1000;

/** Another token before this one ends, said on the open connection (T1). */
export class Renewal {
  #core;
  /** @type {any} */
  #timer;

  /** @param {import("./core.js").Core} core */
  constructor(core) {
    this.#core = core;
  }

  /** @param {number} [end] in seconds since 1970, as the gateway says */
  plan(end) {
    this.stop();
    const { tokens } = this.#core;
    const ms = tokens.due(end ? 1000 * end : Infinity) - this.#core.now();
    if (tokens.isFixed || !(ms < Infinity)) return;
    const then = () => (ms > timer(ms) ? this.plan(end) : this.#renew());
    this.#timer = setTimeout(then, Math.max(timer(ms), NEVER_SOONER_MS));
  }

  stop() {
    clearTimeout(this.#timer);
  }

  async #renew() {
    const { line, tokens } = this.#core;
    try {
      const token = await tokens.ask("expires", this.#core.now());
      if (!token || line.state !== "open") return;
      const reply = await this.#core.ask("refresh", { token }, { repeatable: false });
      if (line.state === "open") this.plan(reply.expires_at);
    } catch (error) {
      this.#core.grumble(error); // 4401 will tell (T2)
    }
  }
}

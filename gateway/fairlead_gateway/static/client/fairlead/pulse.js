import { timer } from "./closes.js";

/** Whether the gateway is still there (H1, H2): by the wall clock, since timers of hidden pages are late. */
export class Pulse {
  #heardAt = Date.now();
  #due = 0; // when it must have been heard; 0 while it was not asked
  #wasLate = false;
  /** @type {any} */
  #timer;
  #interval;
  #patience;
  #ping;
  #dead;

  /**
   * @param {number} interval of silence after which it is asked, ms
   * @param {number} patience ms
   * @param {() => void} ping
   * @param {() => void} dead
   */
  constructor(interval, patience, ping, dead) {
    this.#interval = interval;
    this.#patience = patience;
    this.#ping = ping;
    this.#dead = dead;
    this.#rest();
  }

  heard() {
    this.#heardAt = Date.now();
    this.#wasLate = false;
    if (this.#due) this.#rest();
  }

  /** Ask now, and wait no longer than that. */
  ask(patience = this.#patience) {
    const due = Date.now() + patience;
    if (!this.#due) this.#ping();
    else if (this.#due <= due) return;
    this.#due = due;
    this.#wait(patience, () => this.#missed());
  }

  stop() {
    clearTimeout(this.#timer);
  }

  #rest() {
    this.#due = 0;
    const left = Math.min(this.#interval, this.#heardAt + this.#interval - Date.now());
    this.#wait(left, () => (Date.now() - this.#heardAt >= this.#interval ? this.ask() : this.#rest()));
  }

  #missed() {
    // A machine that slept wakes up with its timers before it hears what came meanwhile.
    if (this.#wasLate || Date.now() < this.#due + 1000) return this.#dead();
    this.#wasLate = true;
    this.#due = 0;
    this.ask();
  }

  /** @param {number} ms @param {() => void} then */
  #wait(ms, then) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, timer(ms));
  }
}

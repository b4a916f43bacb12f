// The document that all windows share: a number, a colour, and the task that goes on.

import { cell } from "../../dashboard/core/cell.js";

export const NAME = "harbour";
const TRIES = 20;
const CAUGHT_UP_MS = 1000;

export class Counter {
  /** @type {import("../../dashboard/core/cell.js").Cell<{ document: any, version: number, isOpen: boolean }>} */
  shown = cell({ document: {}, version: 0, isOpen: false });

  #task = undefined;
  #last = Promise.resolve();

  /** @param {import("./seat.js").Seat} seat */
  constructor(seat) {
    this.seat = seat;
  }

  async open() {
    this.instance = this.seat.client.instance(NAME);
    this.instance.onChange(() => this.#show());
    await this.instance.open();
    this.#show();
  }

  #show() {
    const { document, version } = this.instance;
    this.shown.set({ document: document ?? {}, version, isOpen: true });
    if (document?.task === this.#task) return;
    this.#task = document.task;
    this.seat.tasks.watch(this.#task);
  }

  /**
   * Change the document as it is now; if somebody was faster, as it is then. Nobody's change is lost.
   * @param {(document: any) => { [path: string]: unknown }} make
   */
  change(make) {
    // One after the other: a window that is in its own way would lose against itself.
    const change = this.#last.then(() => this.#change(make));
    this.#last = change.catch(() => {});
    return change;
  }

  async #change(make) {
    for (let tries = 0; ; tries += 1) {
      const { document, version } = this.instance;
      try {
        await this.instance.patch(make(document ?? {}), { baseVersion: version });
        return await this.#beyond(version);
      } catch (error) {
        if (error.code !== "conflict" || tries >= TRIES) throw error;
        await this.#beyond(version);
      }
    }
  }

  /** Wait until the change of a version, whosever it was, is seen here as well. */
  #beyond(version) {
    return new Promise((done) => {
      const look = () => {
        if (this.instance.version <= version) return;
        clearTimeout(timer);
        off();
        done();
      };
      const off = this.instance.onChange(look);
      const timer = setTimeout(() => (off(), done()), CAUGHT_UP_MS);
      look();
    });
  }
}

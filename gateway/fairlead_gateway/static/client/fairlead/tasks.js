/** @import { Message, Reply } from "../fairlead.js" */

/** Frames that hold the whole state of a task. */
const STATES = new Set(["task_update", "task_cancelled"]);

/** Something that a backend does, as it is watched. */
export class Task {
  #core;
  /** @type {Message | null} */
  state = null;

  /** @param {import("./core.js").Core} core @param {string} id */
  constructor(core, id) {
    this.#core = core;
    this.id = id;
    this.channel = `task:${id}`;
    core.mirrors.set(this.channel, { hear: (frame) => this.#hear(frame) });
  }

  /** @returns {Promise<Reply>} */
  async watch() {
    const reply = await this.#core.ask("subscribe_task", { task_id: this.id });
    if (reply.task) this.#hear(reply.task);
    return reply;
  }

  /** @returns {Promise<void>} */
  unwatch() {
    return this.#core.leave("unsubscribe_task", { task_id: this.id });
  }

  /** @returns {Promise<Reply>} */
  cancel() {
    return this.#core.ask("cancel", { task_id: this.id });
  }

  /** @param {"task_update" | "task_stalled" | "task_cancelled" | "*"} type @param {(message: Message) => void} handler */
  on(type, handler) {
    return this.#core.messages.on(type, handler, (frame) => frame.channel === this.channel);
  }

  /** Whether *frame* is news (C3). @param {Message} frame */
  #hear(frame) {
    if (!STATES.has(frame.type)) return true;
    if (frame.version < this.state?.version) return false;
    this.state = frame;
    return true;
  }
}

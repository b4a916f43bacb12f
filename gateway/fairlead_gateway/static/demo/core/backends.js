// What backends do for a window, because it asks for it.

import { post } from "./post.js";

export class Backends {
  /** @param {import("./seat.js").Seat} seat */
  constructor(seat) {
    this.seat = seat;
  }

  /** Everybody who is there, this user first. */
  get #crew() {
    const { user, people } = this.seat;
    return [user, ...people.here.filter((name) => name !== user)].slice(0, 8);
  }

  startTask() {
    const { seat } = this;
    const [owner, ...watchers] = this.#crew;
    return seat.trying(async () => {
      // On another replica, so that this one can be killed without the task.
      const { task_id: task } = await post([...seat.others, ...seat.own], "tasks", { owner, watchers });
      seat.tasks.watch(task);
      await seat.counter.change(() => ({ task }));
    });
  }

  askEverybody() {
    return this.#ask("questions", { people: this.#crew });
  }

  notify(type) {
    return this.#ask("notifications", { user: this.seat.user, type });
  }

  #ask(what, body) {
    const { seat } = this;
    return seat.trying(() => post([...seat.own, ...seat.others], what, body));
  }
}

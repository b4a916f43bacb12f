// Tasks that a person was asked about, for as long as they run: how far each has come.

import { clone } from "./pieces.js";

const ENDED = ["completed", "failed", "cancelled"];

export class Tasks {
  /**
   * @param place where the tasks go
   * @param client `send(action, onReply)`; `stand(channel, told)` and `leave(channel)`; `tell(text)`
   */
  constructor(place, client) {
    this.place = place;
    this.client = client;
    this.rows = new Map(); // task id -> its row
    this.watched = new Set();
  }

  /** Hear of a task from now on; the server says first how it stands. */
  watch(id) {
    if (id === null || this.watched.has(id)) return;
    this.watched.add(id);
    this.client.send({ action: "subscribe_task", task_id: id }, (reply) => {
      if (reply.type === "error") return this.watched.delete(id);
      for (const [channel, told] of Object.entries(reply.channels)) this.client.stand(channel, told);
    });
  }

  update(frame) {
    const { task_id: id, status } = frame;
    if (ENDED.includes(status)) return this.end(id, `task ${id} ${status}`);
    if (!this.rows.has(id)) this.rows.set(id, this.row(id));
    const row = this.rows.get(id);
    const devices = frame.total_devices && `${frame.completed_devices ?? 0} of ${frame.total_devices} devices`;
    const facts = [status === "running" ? "" : status, frame.current_device && `at ${frame.current_device}`, devices, frame.message];
    row.querySelector(".how").textContent = facts.filter(Boolean).join(" · ");
    row.querySelector(".percent").textContent = frame.progress === undefined ? "" : `${Math.round(frame.progress)} %`;
    row.querySelector("progress").value = (frame.progress ?? 0) / 100;
    row.classList.remove("stalled");
  }

  /** Nothing was heard of it for longer than there should be. */
  stall({ task_id: id, since }) {
    const row = this.rows.get(id);
    if (!row) return;
    row.classList.add("stalled");
    row.querySelector(".how").textContent = `silent since ${new Date(since).toLocaleTimeString()}`;
  }

  end(id, text) {
    this.watched.delete(id);
    this.client.leave(`task:${id}`);
    const row = this.rows.get(id);
    if (!row) return;
    this.rows.delete(id);
    row.remove();
    this.client.tell(text);
  }

  row(id) {
    const row = clone("task");
    row.querySelector(".name").textContent = `task ${id}`;
    row.querySelector("button").addEventListener("click", () =>
      this.client.send({ action: "cancel", task_id: id }, (reply) => {
        if (reply.type === "error") this.client.tell(reply.message);
      }),
    );
    this.place.append(row);
    return row;
  }
}

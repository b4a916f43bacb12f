// Notifications that have come and not yet gone.

import { cell } from "../../dashboard/core/cell.js";

export const CLOSES_MS = 6000;
const SHOWN = 4;

/** @typedef {{ id: string, title: string, message: string, type: "info" | "success" | "warning" | "error" | "urgent",
 *     action_url?: string, auto_close: boolean }} Notice */

export class Notices {
  /** @type {import("../../dashboard/core/cell.js").Cell<Notice[]>} */
  all = cell([]);

  /** One that comes again is there once. @param {Notice} notice */
  add(notice) {
    this.all.set([notice, ...this.all.value.filter((one) => one.id !== notice.id)].slice(0, SHOWN));
    if (notice.auto_close) setTimeout(() => this.close(notice.id), CLOSES_MS);
  }

  close(id) {
    this.all.set(this.all.value.filter((one) => one.id !== id));
  }
}

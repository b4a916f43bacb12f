// What has just been done, said once and quietly.

import { cell, useCell } from "../core/cell.js";
import { html } from "../core/html.js";

const SECONDS = 6;
let number = 0;

/** @type {import("../core/cell.js").Cell<{ id: number, text: string, kind: string }[]>} */
const said = cell([]);

/** @param {string} text @param {"good" | "bad"} [kind] */
export function say(text, kind = "good") {
  const id = ++number;
  said.set([...said.value.slice(-2), { id, text, kind }]);
  setTimeout(() => said.set(said.value.filter((one) => one.id !== id)), SECONDS * 1000);
}

/** Do it, and say what came of it. */
export async function trying(work, done) {
  try {
    const result = await work();
    say(typeof done === "function" ? done(result) : done);
    return result;
  } catch (error) {
    say(error.message, "bad");
    return null;
  }
}

export function Toasts() {
  const all = useCell(said);
  return html`<div class="toasts" role="status">
    ${all.map((one) => html`<p key=${one.id} class=${one.kind}>${one.text}</p>`)}
  </div>`;
}

// What has just been done, said once and quietly.

import { cell, useCell } from "../core/cell.js";
import { html } from "../core/html.js";

const SECONDS = 6;
let number = 0;

/** @type {import("../core/cell.js").Cell<{ id: number, text: string, kind: string }[]>} */
const said = cell([]);

/** How many dialogs lie over the page: what lies below the uppermost is neither seen nor read aloud. */
export const layers = cell(0);

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

/** Where it is said, if nothing lies over it. @param {{ depth: number }} of */
export function Toasts({ depth }) {
  const all = useCell(said);
  const isUppermost = useCell(layers) === depth;
  return html`<div class="toasts" role="status">
    ${isUppermost && all.map((one) => html`<p key=${one.id} class=${one.kind}>${one.text}</p>`)}
  </div>`;
}

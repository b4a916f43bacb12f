// A document as branches that open and close.

import { html } from "../core/html.js";
import { count } from "../core/format.js";

const OPEN_LEVELS = 3;
const SHOWN = 200;

/** @param {{ value: unknown, name?: string, level?: number }} of */
export function Tree({ value, name, level = 0 }) {
  if (value === null || typeof value !== "object") {
    return html`<p class="leaf">
      ${name !== undefined && html`<b><bdi>${name}</bdi></b>`} <${Leaf} value=${value} />
    </p>`;
  }
  const entries = Object.entries(value);
  const size = Array.isArray(value) ? `[${count(entries.length)}]` : `{${count(entries.length)}}`;
  const twigs = entries
    .slice(0, SHOWN)
    .map(([key, one]) => html`<${Tree} key=${key} name=${key} value=${one} level=${level + 1} />`);
  const rest = entries.length > SHOWN && html`<p class="leaf about">and ${count(entries.length - SHOWN)} more</p>`;
  if (name === undefined) return html`<div class="tree">${twigs}${rest}</div>`;
  return html`
    <details class="branch" open=${level < OPEN_LEVELS}>
      <summary>
        <b><bdi>${name}</bdi></b> <small>${size}</small>
      </summary>
      ${twigs}${rest}
    </details>
  `;
}

const Leaf = ({ value }) =>
  html`<code class=${value === null ? "null" : typeof value}><bdi>${JSON.stringify(value)}</bdi></code>`;

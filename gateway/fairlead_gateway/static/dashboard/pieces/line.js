// Whether the figures live: told where it is seen, and said once when it changes.

import { useCell } from "../core/cell.js";
import { useTick } from "../core/clock.js";
import { html } from "../core/html.js";
import { hurry, line } from "../core/monitor.js";

const WORDS = {
  off: "Not connected",
  connecting: "Connecting…",
  open: "Live",
  waiting: "Connection lost",
  refused: "Not live",
};
const DOWN = ["waiting", "refused"];

export function LineState() {
  const { phase, detail, until } = useCell(line);
  return html`
    <div class=${`line ${phase}`}>
      <p role="status">
        <i class="dot" aria-hidden="true"></i>
        ${WORDS[phase]}${detail && phase !== "open" && `: ${detail}`}
      </p>
      ${phase === "waiting" && html`<${Until} at=${until} />`}
      ${DOWN.includes(phase) && html`<button class="quiet small" onClick=${hurry}>Try now</button>`}
    </div>
  `;
}

/** Counts down, silently: a screen reader was told once. */
function Until({ at }) {
  useTick(500);
  return html`<p aria-hidden="true">again in ${Math.max(0, Math.ceil((at - Date.now()) / 1000))} s</p>`;
}

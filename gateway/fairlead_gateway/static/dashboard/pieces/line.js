// Whether the figures live: told where it is seen, and said once when it changes.

import { useCell } from "../core/cell.js";
import { useTick } from "../core/clock.js";
import { span } from "../core/format.js";
import { html } from "../core/html.js";
import { ageOfFigures, hurry, isStale, line } from "../core/monitor.js";

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
  const isOld = useCell(isStale);
  const word = isOld && phase === "open" ? "Not fresh: Redis may be away" : WORDS[phase];
  return html`
    <div class=${`line ${isOld && phase === "open" ? "stale" : phase}`}>
      <p role="status">
        <i class="dot" aria-hidden="true"></i>
        ${word}${detail && phase !== "open" && `: ${detail}`}
      </p>
      ${isOld && html`<${Age} />`}
      ${phase === "waiting" && html`<${Until} at=${until} />`}
      ${DOWN.includes(phase) && html`<button class="quiet small" onClick=${hurry}>Try now</button>`}
    </div>
  `;
}

/** Counts up, silently: a screen reader was told once. */
function Age() {
  useTick(500);
  const age = ageOfFigures();
  return html`<p aria-hidden="true">${age === null ? "no figures yet" : `last figures ${span(age)} ago`}</p>`;
}

/** Counts down, silently: a screen reader was told once. */
function Until({ at }) {
  useTick(500);
  return html`<p aria-hidden="true">again in ${Math.max(0, Math.ceil((at - Date.now()) / 1000))} s</p>`;
}

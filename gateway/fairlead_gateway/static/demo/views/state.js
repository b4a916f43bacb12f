// How it stands with the connection, in a word or two.

import { useCell } from "../../dashboard/core/cell.js";
import { html } from "../../dashboard/core/html.js";
import { seconds } from "../core/names.js";
import { useTick } from "./pieces.js";

const WORDS = { idle: "connecting…", connecting: "connecting…", open: "connected", waiting: "connection lost", stopped: "stopped" };

export function LineState({ seat }) {
  const line = useCell(seat.line);
  const isOut = useCell(seat.cable.isOut);
  const state = isOut && line.state !== "stopped" ? "waiting" : line.state;
  const word = isOut && line.state !== "stopped" ? "offline" : WORDS[line.state];
  const stopped = [line.code || "", line.word, line.text].filter(Boolean).join(" ");
  // Without a code there never was a connection: the page was not let in.
  const why = line.state === "stopped" ? stopped : line.state === "waiting" && !line.code ? line.text : "";
  return html`
    <div class="line">
      <p class=${`state ${state}`} role="status" data-state=${line.state}>
        <i class="dot" aria-hidden="true"></i>${word}${why && html`<small>${why}</small>`}
      </p>
      ${line.state === "waiting" && !isOut && html`<${Until} at=${line.until} />`}
      ${line.state === "stopped" && html`<button class="small" onClick=${() => seat.connect()}>Connect again</button>`}
    </div>
  `;
}

/** Counts down, silently: a screen reader was told once. */
function Until({ at }) {
  useTick(100);
  return html`<p class="until" aria-hidden="true">back in ${seconds(at - Date.now())}</p>`;
}

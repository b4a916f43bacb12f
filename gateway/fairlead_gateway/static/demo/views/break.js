// What can be broken, and what recovery made of it.

import { useCell } from "../../dashboard/core/cell.js";
import { html } from "../../dashboard/core/html.js";

const OFFLINE_MS = 5000;
const MANY = 20;
const OLDER = 3;

export function Break({ seat }) {
  const { state } = useCell(seat.line);
  const isOut = useCell(seat.cable.isOut);
  const replica = useCell(seat.replica);
  const news = useCell(seat.news);
  const isUp = state === "open" && !isOut;
  const [latest, ...older] = news;
  return html`
    <section class="break" aria-label="Break something">
      <div class="row">
        <button class="small quiet" disabled=${!isUp} data-act="drop" onClick=${() => seat.storm.drop()}>Drop connection</button>
        <button class="small quiet" disabled=${!isUp} data-act="offline" onClick=${() => seat.storm.offline(OFFLINE_MS)}>Offline for 5 s</button>
        <button class="small quiet" disabled=${!isUp} data-act="away" onClick=${() => seat.storm.whileAway(MANY)}>
          ${MANY} messages while away
        </button>
        ${seat.canKill &&
        html`<button class="small danger" disabled=${!isUp} data-act="kill" title=${`kill -9 ${replica}`} onClick=${() => seat.storm.kill()}>
          Kill replica
        </button>`}
      </div>
      <div class="news" role="status">
        ${latest
          ? html`<p key=${latest.key} class=${latest.kind}>${latest.text}</p>`
          : html`<p class="hint">Break something, and read here what became of it.</p>`}
      </div>
      <ul class="older" aria-label="Before that">
        ${older.slice(0, OLDER).map((one) => html`<li key=${one.key} class=${one.kind}>${one.text}</li>`)}
      </ul>
    </section>
  `;
}

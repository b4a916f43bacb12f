// Tasks: how far each has come, and its end.

import { useCell } from "../../dashboard/core/cell.js";
import { html } from "../../dashboard/core/html.js";
import { ENDED } from "../core/tasks.js";
import { Card } from "./pieces.js";

const SHOWN = { completed: "good", failed: "bad", cancelled: "warn" };

export function Tasks({ seat }) {
  const all = useCell(seat.tasks.all);
  return html`
    <${Card} title="Tasks" kind="tasks">
      ${all.length === 0 && html`<p class="empty">None yet. A backend can start one below.</p>`}
      <ul>
        ${all.map((one) => html`<${Task} key=${one.id} seat=${seat} ...${one} />`)}
      </ul>
    <//>
  `;
}

function Task({ seat, id, state, isStalled }) {
  if (!state) return html`<li class="task" data-task=${id}><p class="how">${id}: not begun</p></li>`;
  const { status, progress = 0, current_device: device, total_devices: total, completed_devices: done = 0, owner } = state;
  const isOver = ENDED.includes(status);
  const how = isOver
    ? state.message ?? ""
    : isStalled
      ? "not heard of any more"
      : [device, total && `${done} of ${total}`].filter(Boolean).join(" · ");
  return html`
    <li class=${`task ${status} ${isStalled ? "stalled" : ""}`} data-task=${id}>
      <p class="title">
        <b>${id}</b>
        ${isOver && html`<span class=${`badge ${SHOWN[status]}`}>${status}</span>`}
        ${!isOver && isStalled && html`<span class="badge warn">stalled</span>`}
        ${!isOver && !isStalled && html`<span class="percent">${Math.round(progress)} %</span>`}
      </p>
      <progress max="100" value=${progress} aria-label=${`Progress of ${id}`}></progress>
      <p class="how">
        <span>${how || `for ${owner}`}</span>
        ${!isOver && owner === seat.user && html`<button class="danger small" onClick=${() => seat.tasks.cancel(id)}>Cancel</button>`}
        ${!isOver && owner !== seat.user && html`<small>${owner}'s</small>`}
      </p>
    </li>
  `;
}

// Tasks that run now, and how far each has come.

import { ask, segment } from "../core/api.js";
import { count, moment, span } from "../core/format.js";
import { now, useTick } from "../core/clock.js";
import { html, useState } from "../core/html.js";
import { usePages } from "../core/load.js";
import { Sheet, Sure } from "../pieces/dialogs.js";
import { May } from "../pieces/may.js";
import { Badge, Bar, Facts, Head, Json, Name } from "../pieces/small.js";
import { Empty, More, Shown } from "../pieces/states.js";
import { say } from "../pieces/toasts.js";

const POLL_MS = 2000;
const KINDS = { running: "info", stalled: "warn", failed: "bad", completed: "good" };

export function Tasks() {
  const pages = usePages("tasks", { every: POLL_MS });
  const [opened, open] = useState("");
  const [ending, end] = useState("");
  useTick(1000);
  const one = pages.items.find((task) => task.task_id === opened);
  return html`
    <${Head}
      title="Tasks"
      about=${pages.items.length ? `${count(pages.items.length)}${pages.isMore ? " and more" : ""} shown` : ""}
    />
    <${Shown} of=${pages} rows=${4}>
      ${() => html`
        ${
          pages.items.length
            ? html`<ul class="cards">
                ${pages.items.map((task) => html`<${Task} key=${task.task_id} task=${task} open=${open} end=${end} />`)}
              </ul>`
            : html`<${Empty} title="No task runs">A backend begins one with its first <code>update_task</code>.<//>`
        }
        <${More} pages=${pages} />
      `}
    <//>
    ${one && html`<${Sheet} title=${one.task_id} about="Task" close=${() => open("")}><${Json} value=${one} /><//>`}
    ${ending && html`<${Cancel} id=${ending} close=${() => end("")} done=${pages.reload} />`}
  `;
}

function Task({ task, open, end }) {
  const {
    task_id: id,
    progress,
    message,
    current_device: device,
    total_devices: total,
    completed_devices: ready,
  } = task;
  const status = task.stalled_since ? "stalled" : task.status;
  const silent = (now() - Date.parse(task.updated_at)) / 1000;
  return html`
    <li class="card task" data-task=${id}>
      <p class="row">
        <button class="link" onClick=${() => open(id)}><${Name} of=${id} /></button>
        <${Badge} kind=${KINDS[status] ?? "calm"}>${status}<//>
        <span class="number">${typeof progress === "number" ? `${Math.round(progress)} %` : ""}</span>
      </p>
      <${Bar} value=${progress} label=${`Progress of ${id}`} />
      ${message && html`<p><bdi>${message}</bdi></p>`}
      <${Facts}
        of=${[
          ...(device ? [["At", html`<${Name} of=${String(device)} />`]] : []),
          ...(total ? [["Devices", `${count(ready ?? 0)} of ${count(total)}`]] : []),
          ...(task.owner ? [["Owner", html`<${Name} of=${task.owner} />`]] : []),
          ["Last heard of", html`<span title=${moment(task.updated_at)}>${span(silent)} ago</span>`],
        ]}
      />
      <${May} needs="operator" what="Cancelling tasks">
        <p><button class="quiet small" onClick=${() => end(id)}>Cancel…</button></p>
      <//>
    </li>
  `;
}

function Cancel({ id, close, done }) {
  const act = async () => {
    await ask("POST", `tasks/${segment(id)}/cancel`);
    say(`Task ${id} is cancelled.`);
    done();
  };
  return html`
    <${Sure} title="Cancel this task?" verb="Cancel the task" close=${close} act=${act}>
      <p>
        <${Name} of=${id} />: whoever watches it is told, its open questions are closed, and its backend hears that it
        should stop.
      </p>
    <//>
  `;
}

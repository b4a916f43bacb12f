// Questions that wait for an answer, and what happens when none comes.

import { useEffect, html, useState } from "../core/html.js";
import { now, useTick } from "../core/clock.js";
import { countdown, moment } from "../core/format.js";
import { usePages } from "../core/load.js";
import { on } from "../core/monitor.js";
import { AnswerForm } from "../pieces/answer.js";
import { Sheet } from "../pieces/dialogs.js";
import { May } from "../pieces/may.js";
import { Badge, Facts, Head, Name } from "../pieces/small.js";
import { Empty, More, Shown } from "../pieces/states.js";

const POLL_MS = 2000;
const SOON_MS = 30_000;
const KINDS = { info: "info", warning: "warn", danger: "bad" };
const AT_ZERO = { proceed: "goes on by itself", stop: "stops by itself", raise: "fails" };

/** What becomes of a question that nobody answers. */
const atZero = ({ on_timeout: policy }) => AT_ZERO[policy] ?? "ends";

export function Questions() {
  const pages = usePages("confirmations", { every: POLL_MS });
  const [opened, open] = useState(null);
  useEffect(() => on("confirm_closed", pages.refresh), []);
  useTick(500);
  const close = () => {
    open(null);
    pages.reload();
  };
  const pending = pages.items.filter((one) => one.status === "pending" || !one.status);
  return html`
    <${Head} title="Questions" about="What people were asked, and have not yet answered." />
    <${Shown} of=${pages} rows=${4}>
      ${() => html`
        ${
          pending.length
            ? html`<ul class="cards">
                ${pending.map((one) => html`<${Question} key=${one.callback_id} one=${one} open=${open} />`)}
              </ul>`
            : html`<${Empty} title="Nobody waits for an answer">
                A backend asks with <code>fl.ask(…)</code>, a shell with <code>fairlead ask</code>.
              <//>`
        }
        <${More} pages=${pages} />
      `}
    <//>
    ${opened && html`<${OneQuestion} one=${opened} close=${close} />`}
  `;
}

/** How long there still is, by the replicas' clock, and what then. */
function Left({ one }) {
  const left = Math.max(0, Date.parse(one.expires_at) - now());
  const whole = Date.parse(one.expires_at) - Date.parse(one.created_at);
  return html`
    <div class=${`left ${left < SOON_MS ? "soon" : ""}`}>
      <progress max=${whole} value=${left} aria-hidden="true"></progress>
      <p>${left ? html`${atZero(one)} in <b class="number">${countdown(left)}</b>` : "its time is up"}</p>
    </div>
  `;
}

function Question({ one, open }) {
  return html`
    <li class="card question" data-question=${one.callback_id}>
      <p class="row">
        <${Badge} kind=${KINDS[one.severity] ?? "calm"}>${one.severity}<//>
        ${one.task_id && html`<span class="about">task <${Name} of=${one.task_id} /></span>`}
        ${one.step && html`<span class="about">step <${Name} of=${String(one.step)} /></span>`}
      </p>
      <p class="asked"><bdi>${one.message || "Go on?"}</bdi></p>
      <p class="about">asked of ${one.responders.map((who, at) => html`${at ? ", " : ""}<${Name} of=${who} />`)}</p>
      <${Left} one=${one} />
      <${May} needs="admin" what="Answering for others">
        <p><button class="quiet small" onClick=${() => open(one)}>Answer for them…</button></p>
      <//>
    </li>
  `;
}

function OneQuestion({ one, close }) {
  useTick(500);
  return html`
    <${Sheet} title=${one.message || "Go on?"} about="Question" close=${close}>
      <${Left} one=${one} />
      <${Facts}
        of=${[
          ["Asked", moment(one.created_at)],
          ["Of", one.responders.join(", ")],
          ["Task", one.task_id],
          ["Without an answer", atZero(one)],
        ]}
      />
      <h3>Answer as admin</h3>
      <p class="note">It counts as the one answer, carries your name, and is kept in the audit.</p>
      <${AnswerForm} one=${one} done=${close} />
    <//>
  `;
}

// What stands where there is nothing to show: nothing there, not there yet, or not to be had.

import { line } from "../core/monitor.js";
import { useCell } from "../core/cell.js";
import { html } from "../core/html.js";

/** @param {{ title: string, children?: unknown }} of what is not there, and how it would come to be */
export function Empty({ title, children }) {
  return html`<div class="state">
    <p class="state-title">${title}</p>
    ${children && html`<p>${children}</p>`}
  </div>`;
}

/** @param {{ problem: import("../core/api.js").Problem, retry?: () => void }} of */
export function Trouble({ problem, retry }) {
  const [title, advice] = told(problem);
  return html`
    <div class="state trouble" role="alert">
      <p class="state-title">${title}</p>
      <p>${advice}</p>
      ${retry && html`<button class="quiet" onClick=${retry}>Try again</button>`}
    </div>
  `;
}

/** As a sentence that another can follow. */
const ended = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

function told(problem) {
  if (problem.isUnknownRoute) {
    return ["This replica does not know that yet", "It may run an older version: look at Replicas for who runs what."];
  }
  return (
    {
      0: ["No answer", `${ended(problem.message)} Is it up, and is there a network?`],
      403: ["Your role may not see this", problem.message],
      404: ["It is gone", problem.message],
      503: ["Redis cannot be reached", `${ended(problem.message)} It is asked again by itself.`],
    }[problem.status] ?? [`It did not work: ${problem.title}`, problem.message]
  );
}

/** Grey lines of about the size of what will come. @param {{ rows?: number }} of */
export function Waiting({ rows = 5 }) {
  return html`
    <div class="loading" aria-hidden="true">${Array.from({ length: rows }, () => html`<span></span>`)}</div>
    <p class="unseen">Loading…</p>
  `;
}

/** Replicas that did not answer in time. @param {{ replicas: string[] }} of */
export function Silent({ replicas }) {
  if (!replicas.length) return null;
  return html`<p class="note warn">No answer from ${replicas.join(", ")}: what they hold is not shown.</p>`;
}

/** The facts of a load, or why there are none yet. */
export function Shown({ of, rows, children }) {
  if (of.data) {
    const stale = of.problem && html`<p class="note warn">Not fresh: ${of.problem.message}</p>`;
    return html`${stale}${children(of.data)}`;
  }
  if (of.problem) return html`<${Trouble} problem=${of.problem} retry=${of.reload} />`;
  return html`<${Waiting} rows=${rows} />`;
}

/** The way to the next page, where there is one. @param {{ pages: import("../core/load.js").Pages }} of */
export function More({ pages }) {
  if (!pages.isMore) return null;
  return html`<p class="more"><button class="quiet" onClick=${pages.more}>Show more</button></p>`;
}

/** That the figures on the screen stand still. */
export function NotLive() {
  const { phase } = useCell(line);
  if (phase === "open") return null;
  return html`<p class="note warn">The live connection is down: what you see stands still until it is back.</p>`;
}

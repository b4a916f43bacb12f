// What is wrong, and what was.

import { cell, useCell } from "../core/cell.js";
import { now, useTick } from "../core/clock.js";
import { figure, moment, span } from "../core/format.js";
import { html, useEffect, useState } from "../core/html.js";
import { useLoaded } from "../core/load.js";
import { on, stats } from "../core/monitor.js";
import { to } from "../core/route.js";
import { Badge, Head, Name, Switch } from "../pieces/small.js";
import { Empty, Shown } from "../pieces/states.js";

const POLL_MS = 10_000;

/** How many fire, as the figures say each second. @type {import("../core/cell.js").Cell<number>} */
export const firingNow = cell(0);
stats.subscribe((update) => firingNow.set(update?.alerts ?? 0));

export function Alerts() {
  const [only, setOnly] = useState("all");
  return html`
    <${Head} title="Alerts" about="Judged once for the whole fleet, each second.">
      <${Switch}
        label="Which"
        value=${only}
        change=${setOnly}
        options=${[
          ["all", "All"],
          ["firing", "Firing"],
          ["resolved", "Resolved"],
        ]}
      />
    <//>
    <${AlertList} only=${only} />
  `;
}

/** @param {{ only: "all" | "firing" | "resolved" }} of */
export function AlertList({ only }) {
  const firing = useCell(firingNow);
  const found = useLoaded("alerts", { every: POLL_MS });
  useEffect(() => on("alert", found.reload), []);
  useEffect(found.reload, [firing]);
  useTick(1000);
  return html`
    <${Shown} of=${found} rows=${2}>
      ${({ items }) => {
        const shown = items.filter((one) => only === "all" || one.state === only);
        if (!shown.length) return html`<${Empty} title=${NONE[only][0]}>${NONE[only][1]}<//>`;
        return html`
          <ul class="alerts">
            ${shown.map((one) => html`<${Alert} key=${one.id} one=${one} />`)}
          </ul>
        `;
      }}
    <//>
  `;
}

const NONE = {
  all: ["All is well", "What passes its threshold is told here, in the log and to the webhook."],
  firing: ["All is well", "Nothing has passed its threshold."],
  resolved: ["Nothing was wrong lately", "What has ended stays here for a while."],
};

function Alert({ one }) {
  const isFiring = one.state === "firing";
  const kind = isFiring ? (one.severity === "critical" ? "bad" : "warn") : "calm";
  const lasted = (Date.parse(one.until ?? "") || now()) - Date.parse(one.since);
  return html`
    <li class=${`${kind} ${one.state}`}>
      <p class="row">
        <${Badge} kind=${kind}>${isFiring ? one.severity : "resolved"}<//>
        <b>${one.rule}</b>
        ${one.replica && html`<a href=${to("replicas", one.replica)}><${Name} of=${one.replica} /></a>`}
      </p>
      <p>${one.message}</p>
      <p class="about">
        ${`${figure(one.value)} (worst ${figure(one.worst)}, threshold ${figure(one.threshold)})`}
        ${` · since ${moment(one.since)}`}
        ${` · ${isFiring ? "for" : "lasted"} ${span(lasted / 1000)}`}
      </p>
    </li>
  `;
}

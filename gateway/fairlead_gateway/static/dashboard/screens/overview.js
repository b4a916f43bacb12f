// The whole fleet at a glance: the ten figures, the last minutes, who serves, what is wrong.

import { useCell } from "../core/cell.js";
import { now } from "../core/clock.js";
import { brief, count, rate, span } from "../core/format.js";
import { html, useEffect, useState } from "../core/html.js";
import { useLoaded } from "../core/load.js";
import { line, stats } from "../core/monitor.js";
import { to } from "../core/route.js";
import { points } from "../core/series.js";
import { Chart } from "../pieces/chart.js";
import { Badge, Card, Head, Name, Switch } from "../pieces/small.js";
import { Empty, Shown } from "../pieces/states.js";
import { AlertList } from "./alerts.js";
import { stateOf } from "./replicas.js";

const POLL_MS = 5000;

/** The ten figures of a fleet, as the interface names them: what stands now, and what was counted since the start. */
const NOW = [
  ["total_connections", "Connections", "every socket that is open"],
  ["active_connections", "Active connections", "those that answer"],
  ["active_users", "Users", "people with a connection"],
  ["active_sessions", "Sessions", "sessions with somebody in them"],
  ["total_user_connections", "User connections", "connections that belong to somebody"],
  ["total_session_connections", "Session connections", "connections that sit in a session"],
];
const SINCE = [
  ["messages_sent", "Messages out"],
  ["messages_received", "Messages in"],
  ["disconnections", "Disconnections"],
  ["errors", "Errors"],
];

const CONNECTIONS = [{ label: "open", key: "connections", ink: "-sea", fill: true }];
const MESSAGES = [
  { label: "out", key: "messages_sent", ink: "-sea" },
  { label: "in", key: "messages_received", ink: "-rope" },
];
const ERRORS = [
  { label: "errors", key: "errors", ink: "-bad" },
  { label: "disconnections", key: "disconnections", ink: "-soft" },
];
const LATENCY = [
  { label: "p50", key: "p50", ink: "-sea" },
  { label: "p90", key: "p90", ink: "-rope" },
  { label: "p99", key: "p99", ink: "-bad" },
];

export function Overview() {
  const live = useCell(stats);
  const { phase } = useCell(line);
  // The socket brings them each second; without it they are asked for.
  const polled = useLoaded(phase === "open" && live ? "" : "stats", { every: POLL_MS });
  const figures = phase === "open" && live ? live : (polled.data ?? live);
  const replicas = useLoaded("replicas", { every: POLL_MS });
  // Who lives is told each second: whoever dies is red at once.
  const alive = String(live?.replicas.filter((one) => one.is_alive).map((one) => one.replica));
  useEffect(replicas.reload, [alive]);
  return html`
    <${Head} title="Overview" about=${headline(figures, replicas.data?.items)} />
    ${figures ? html`<${Figures} of=${figures} />` : html`<${Shown} of=${polled} rows=${3}>${() => null}<//>`}
    <${Charts} percentiles=${live?.percentiles} />
    <div class="columns">
      <${Card} title="Replicas" tools=${html`<a href=${to("replicas")}>All facts</a>`}>
        <${Shown} of=${replicas} rows=${3}>${({ items }) => html`<${Fleet} items=${items} />`}<//>
      <//>
      <${Card} title="Alerts" tools=${html`<a href=${to("alerts")}>All alerts</a>`}><${AlertList} only="firing" /><//>
    </div>
  `;
}

function headline(figures, replicas) {
  if (!figures) return "";
  const alive = replicas?.filter((one) => one.is_alive).length;
  const where = alive === undefined ? "" : ` on ${count(alive)} ${alive === 1 ? "replica" : "replicas"}`;
  return `${count(figures.total_connections)} connections of ${count(figures.active_users)} users${where}`;
}

function Figures({ of }) {
  return html`
    <section class="figures" aria-label="Figures">
      <dl>
        ${NOW.map(
          ([name, label, about]) =>
            html`<div key=${name} title=${about}>
              <dt>${label}</dt>
              <dd data-figure=${name}>${count(of[name])}</dd>
            </div>`,
        )}
      </dl>
      <dl>
        ${SINCE.map(
          ([name, label]) =>
            html`<div key=${name} title=${`${count(of[name])} since the counting began`}>
              <dt>${label}</dt>
              <dd data-figure=${name} data-value=${of[name]}>
                ${brief(of[name])} <small>${rate(of.rates?.[name])}</small>
              </dd>
            </div>`,
        )}
      </dl>
    </section>
  `;
}

function Charts({ percentiles }) {
  const [window, setWindow] = useState("live");
  const live = useCell(points);
  const hour = useLoaded(window === "hour" ? "stats/history" : "", { query: { window }, every: 30_000 });
  const shown =
    window === "live" ? live : (hour.data?.points ?? []).map((one) => ({ ...one, at: Date.parse(one.at) / 1000 }));
  const trips = (window === "live" ? percentiles : hour.data?.percentiles) ?? {};
  return html`
    <section class="charts" aria-label="Charts">
      <header>
        <h2>Over time</h2>
        <${Switch}
          label="Over what time"
          value=${window}
          change=${setWindow}
          options=${[
            ["live", "Live"],
            ["hour", "Hour"],
          ]}
        />
      </header>
      ${hour.problem && html`<p class="note warn">The last hour is not to be had: ${hour.problem.message}</p>`}
      <${Chart} title="Connections" unit="" curves=${CONNECTIONS} points=${shown} />
      <${Chart} title="Messages" unit="a second" curves=${MESSAGES} points=${shown} />
      <${Chart} title="Errors and disconnections" unit="a second" curves=${ERRORS} points=${shown} />
      ${
        window === "live"
          ? html`<${Chart} title="Time an action takes" unit="ms" curves=${LATENCY} points=${shown} />`
          : html`<${Percentiles} of=${trips} />`
      }
    </section>
  `;
}

const MEASURED = { round_trip_ms: "Round trip", action_ms: "Action", delivery_ms: "Delivery" };

/** How long things took, over a whole window. */
function Percentiles({ of }) {
  return html`
    <div class="chart">
      <h2>How long it takes</h2>
      <table class="plain">
        <thead>
          <tr>
            <th>ms</th>
            <th>p50</th>
            <th>p90</th>
            <th>p99</th>
          </tr>
        </thead>
        <tbody>
          ${Object.entries(MEASURED).map(
            ([key, label]) =>
              html`<tr key=${key}>
                <th scope="row">${label}</th>
                ${["p50", "p90", "p99"].map((one) => html`<td class="number">${count(of[key]?.[one])}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  `;
}

const age = (one) => span((now() - Date.parse(one.started_at)) / 1000);

function Fleet({ items }) {
  if (!items.length) return html`<${Empty} title="No replica is known">One appears here seconds after it starts.<//>`;
  const most = Math.max(1, ...items.map((one) => one.connections ?? 0));
  return html`
    <ul class="fleet">
      ${items.map((one) => {
        const [kind, word] = stateOf(one);
        return html`
          <li key=${one.replica} class=${one.is_alive ? "" : "dead"} data-replica=${one.replica}>
            <a href=${to("replicas", one.replica)}><${Name} of=${one.replica} /></a>
            <${Badge} kind=${kind}>${word}<//>
            <meter min="0" max=${most} value=${one.connections ?? 0} aria-label="Connections"></meter>
            <span class="number">${count(one.connections)}</span>
            <small>${one.is_alive ? `up ${age(one)}` : "its connections are gone"}</small>
          </li>
        `;
      })}
    </ul>
  `;
}

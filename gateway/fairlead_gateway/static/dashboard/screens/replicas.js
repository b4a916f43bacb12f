// Who serves: every replica, also those that have just died.

import { useCell } from "../core/cell.js";
import { now } from "../core/clock.js";
import { count, moment, span } from "../core/format.js";
import { html, useEffect } from "../core/html.js";
import { useLoaded } from "../core/load.js";
import { stats } from "../core/monitor.js";
import { go, to } from "../core/route.js";
import { Sheet } from "../pieces/dialogs.js";
import { Badge, Facts, Head, Name } from "../pieces/small.js";
import { Empty, Shown } from "../pieces/states.js";
import { Table } from "../pieces/table.js";

const POLL_MS = 3000;

/** The colour and the word for what a replica is. @returns {[string, string]} */
export function stateOf(one) {
  if (!one.is_alive) return ["bad", "dead"];
  return one.is_ready ? ["good", "ready"] : ["warn", "not ready"];
}

const COLUMNS = [
  { title: "Replica", cell: (one) => html`<a href=${to("replicas", one.replica)}><${Name} of=${one.replica} /></a>` },
  {
    title: "State",
    cell: (one) => {
      const [kind, word] = stateOf(one);
      return html`<${Badge} kind=${kind}>${word}<//>`;
    },
  },
  { title: "Connections", kind: "number", cell: (one) => count(one.connections) },
  { title: "Address", kind: "code", cell: (one) => `${one.host}:${one.port}` },
  { title: "Version", kind: "code", cell: (one) => one.version },
  { title: "Up for", cell: (one) => (one.is_alive ? span((now() - Date.parse(one.started_at)) / 1000) : "–") },
  {
    title: "Lease",
    about: "when it would be taken for dead, if it said nothing more",
    cell: (one) => (one.is_alive ? span(one.lease_seconds_left) : "lost"),
  },
];

export function Replicas({ id }) {
  const fleet = useLoaded("replicas", { every: POLL_MS });
  const alive = String(
    useCell(stats)
      ?.replicas.filter((one) => one.is_alive)
      .map((one) => one.replica),
  );
  useEffect(fleet.reload, [alive]);
  const versions = new Set(fleet.data?.items.filter((one) => one.is_alive).map((one) => one.version));
  const open = (one) => go(to("replicas", one.replica));
  return html`
    <${Head} title="Replicas" about="Each has its own sockets; all say and hear the same." />
    ${versions.size > 1 && html`<p class="note warn">They are not of one version: ${[...versions].join(", ")}.</p>`}
    <${Shown} of=${fleet} rows=${4}>
      ${({ items }) =>
        items.length
          ? html`<${Table}
              caption="Replicas"
              columns=${COLUMNS}
              rows=${items}
              keyOf=${(one) => one.replica}
              open=${open}
              mark=${(one) => (one.is_alive ? "" : "dead")}
            />`
          : html`<${Empty} title="No replica is known">One appears here seconds after it starts.<//>`}
    <//>
    ${id && html`<${OneReplica} id=${id} known=${fleet.data?.items.find((one) => one.replica === id)} />`}
  `;
}

const DEAD = "It said nothing until its lease ran out. What it held was cleared away; its clients find other replicas.";

const FIGURES = {
  total_connections: "Connections",
  active_users: "Users",
  active_sessions: "Sessions",
  messages_sent: "Messages out",
  messages_received: "Messages in",
  disconnections: "Disconnections",
  errors: "Errors",
};

function OneReplica({ id, known }) {
  const figures = useCell(stats)?.replicas?.find((one) => one.replica === id);
  const polled = useLoaded(figures ? "" : "stats");
  const shown = figures ?? polled.data?.replicas.find((one) => one.replica === id);
  const [kind, word] = known ? stateOf(known) : ["calm", "not known"];
  return html`
    <${Sheet} title=${id} about="Replica" close=${() => go(to("replicas"))}>
      <p><${Badge} kind=${kind}>${word}<//></p>
      ${known && !known.is_alive && html`<p class="note bad">${DEAD}</p>`}
      ${
        known &&
        html`<${Facts}
          of=${[
            ["Address", `${known.host}:${known.port}`],
            ["Version", known.version],
            ["Started", moment(known.started_at)],
            ["Lease", known.is_alive ? span(known.lease_seconds_left) : "lost"],
          ]}
        />`
      }
      ${
        shown &&
        html`<h3>Figures</h3>
          <${Facts} of=${Object.entries(FIGURES).map(([key, label]) => [label, count(shown[key])])} />`
      }
      <p><a class="button quiet" href=${to("connections", "", { replica: id })}>Its connections</a></p>
    <//>
  `;
}

// Sessions with somebody in them.

import { ask, segment } from "../core/api.js";
import { count, tail } from "../core/format.js";
import { html } from "../core/html.js";
import { useLoaded, usePages } from "../core/load.js";
import { go, to } from "../core/route.js";
import { Sheet } from "../pieces/dialogs.js";
import { May } from "../pieces/may.js";
import { SendForm } from "../pieces/send.js";
import { Card, Head, Name } from "../pieces/small.js";
import { Empty, Shown, Silent } from "../pieces/states.js";
import { Listed, Table } from "../pieces/table.js";

const POLL_MS = 5000;

const COLUMNS = [
  {
    title: "Session",
    cell: (one) => html`<a href=${to("sessions", one.session_id)}><${Name} of=${one.session_id} /></a>`,
  },
  { title: "People", kind: "number", cell: (one) => count(Array.isArray(one.people) ? one.people.length : one.people) },
  { title: "Connections", kind: "number", cell: (one) => count(one.connections) },
];

const SEATS = [
  { title: "User", cell: (one) => html`<${Name} of=${one.user_id} />` },
  {
    title: "Connection",
    kind: "code",
    cell: (one) => html`<a href=${to("connections", one.connection_id)}>${tail(one.connection_id)}</a>`,
  },
  { title: "Replica", cell: (one) => html`<${Name} of=${one.replica} />` },
];

export function Sessions({ id }) {
  const pages = usePages("sessions", { every: POLL_MS, limit: 200 });
  return html`
    <${Head} title="Sessions" about="Conversations that people sit in, on whichever replica." />
    <${Listed}
      pages=${pages}
      caption="Sessions"
      columns=${COLUMNS}
      keyOf=${(one) => one.session_id}
      open=${(one) => go(to("sessions", one.session_id))}
      empty=${html`
        <${Empty} title="No session has anybody in it">Clients enter one at <code>/ws/chat/session/ID</code>.<//>
      `}
    />
    ${id && html`<${OneSession} id=${id} />`}
  `;
}

function OneSession({ id }) {
  const found = useLoaded("connections", { query: { session_id: id }, every: POLL_MS });
  return html`
    <${Sheet} title=${id} about="Session" close=${() => go(to("sessions"))}>
      <${Shown} of=${found} rows=${4}>
        ${({ items, silent }) => html`
          <${Silent} replicas=${silent} />
          ${
            items.length
              ? html`<${Table}
                  caption="Who sits in it"
                  columns=${SEATS}
                  rows=${items}
                  keyOf=${(one) => one.connection_id}
                />`
              : html`<${Empty} title="Everybody has left" />`
          }
        `}
      <//>
      <${May} needs="operator" what="Sending messages">
        <${Card} title="Send a message" about="to everybody in it">
          <${SendForm} send=${(body) => ask("POST", `sessions/${segment(id)}/messages`, { body })} />
        <//>
      <//>
    <//>
  `;
}

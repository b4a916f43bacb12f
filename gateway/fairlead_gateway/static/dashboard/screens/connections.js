// Who is connected, on whichever replica: search, narrow down, open one.

import { count, moment, ms, tail } from "../core/format.js";
import { html } from "../core/html.js";
import { useLoaded, usePages } from "../core/load.js";
import { go, place, to } from "../core/route.js";
import { Icon } from "../pieces/icons.js";
import { Badge, Choice, Head, Name, Search } from "../pieces/small.js";
import { Empty } from "../pieces/states.js";
import { Listed } from "../pieces/table.js";
import { OneConnection } from "./connection.js";

const POLL_MS = 5000;
const SETTLE_MS = 500;
const NARROW = { user_id: "user", session_id: "session", instance: "instance", replica: "replica" };

/** The address of one of those that are shown now, which goes on showing them. */
const here = (id) => to("connections", id, place.value.query);

const COLUMNS = [
  {
    title: "User",
    kind: "short",
    cell: (one) => html`<a href=${to("users", one.user_id)}><${Name} of=${one.user_id} /></a>`,
  },
  {
    title: "Connection",
    kind: "code",
    cell: (one) => html`<a href=${here(one.connection_id)}>${tail(one.connection_id)}</a>`,
  },
  {
    title: "Session",
    kind: "short",
    cell: ({ session_id: id }) => (id ? html`<a href=${to("sessions", id)}><${Name} of=${id} /></a>` : "–"),
  },
  { title: "Replica", kind: "short", cell: (one) => html`<${Name} of=${one.replica} />` },
  { title: "Since", cell: (one) => moment(one.connected_at) },
  { title: "Round trip", kind: "number", cell: (one) => ms(one.round_trip_ms) },
  {
    title: "State",
    cell: (one) => html`<${Badge} kind=${one.is_alive ? "good" : "bad"}>${one.is_alive ? "answers" : "silent"}<//>`,
  },
];

export function Connections({ id, query }) {
  const asked = Object.fromEntries([...Object.keys(NARROW), "q"].map((name) => [name, query[name] ?? ""]));
  const pages = usePages("connections", { query: asked, every: POLL_MS });
  const narrow = (more) => go(to("connections", id, { ...asked, ...more }), true);
  const close = () => {
    // Whoever has gone elsewhere before the answer came stays there.
    if (place.value.id === id && place.value.screen === "connections") go(to("connections", "", asked));
    pages.reload();
    // Whoever was just disconnected may have been there a moment longer.
    setTimeout(pages.refresh, SETTLE_MS);
  };
  const open = (one) => go(here(one.connection_id));
  return html`
    <${Head} title="Connections" about=${told(pages)}>
      <${Search} label="User, connection, address…" value=${asked.q} change=${(q) => narrow({ q })} />
      <${OfReplica} value=${asked.replica} change=${(replica) => narrow({ replica })} />
      <button class="quiet" onClick=${pages.reload}><${Icon} name="refresh" />Refresh</button>
    <//>
    <${Narrowed} asked=${asked} drop=${(name) => narrow({ [name]: "" })} />
    <${Listed}
      pages=${pages}
      caption="Connections"
      columns=${COLUMNS}
      keyOf=${(one) => one.connection_id}
      open=${open}
      empty=${html`<${Nobody} isNarrow=${Object.values(asked).some(Boolean)} />`}
    />
    ${id && html`<${OneConnection} key=${id} id=${id} close=${close} />`}
  `;
}

const told = ({ items, isMore }) => (items.length ? `${count(items.length)}${isMore ? " and more" : ""} shown` : "");

function OfReplica({ value, change }) {
  const fleet = useLoaded("replicas");
  const names = [...new Set([...(fleet.data?.items ?? []).map((one) => one.replica), value].filter(Boolean))];
  return html`<${Choice}
    label="Replica"
    value=${value}
    change=${change}
    options=${[["", "Every replica"], ...names.map((name) => [name, name])]}
  />`;
}

/** What the list is narrowed down to, each with a way back. */
function Narrowed({ asked, drop }) {
  const given = Object.entries(NARROW).filter(([name]) => asked[name]);
  if (!given.length) return null;
  return html`
    <ul class="chips">
      ${given.map(
        ([name, word]) =>
          html`<li key=${name}>
            ${word} <${Name} of=${asked[name]} />
            <button
              class="icon-only"
              aria-label=${`Do not narrow down to ${word} ${asked[name]}`}
              onClick=${() => drop(name)}
            >
              <${Icon} name="close" />
            </button>
          </li>`,
      )}
    </ul>
  `;
}

function Nobody({ isNarrow }) {
  if (isNarrow) return html`<${Empty} title="Nobody is like that">Look for less, or for something else.<//>`;
  return html`
    <${Empty} title="Nobody is connected">
      Clients connect at <code>/ws</code>; try it on the <a href=${to("playground")}>Playground</a>.
    <//>
  `;
}

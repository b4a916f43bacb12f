// What was: connections that ended, and what operators did.

import { moment, span } from "../core/format.js";
import { html } from "../core/html.js";
import { usePages } from "../core/load.js";
import { useMay } from "../core/rank.js";
import { go, to } from "../core/route.js";
import { Badge, Head, Name, Search, Switch } from "../pieces/small.js";
import { Empty } from "../pieces/states.js";
import { Listed } from "../pieces/table.js";

const POLL_MS = 10_000;

const CONNECTIONS = [
  { title: "Ended", cell: (one) => moment(one.ended_at) },
  { title: "User", cell: (one) => html`<${Name} of=${one.user_id} />` },
  { title: "Lasted", cell: (one) => span(one.seconds) },
  { title: "Code", cell: (one) => html`<${Badge} kind=${kindOf(one.code)}>${one.code}<//>` },
  { title: "Reason", kind: "wide", cell: (one) => html`<${Name} of=${one.reason || "–"} />` },
  { title: "Replica", cell: (one) => html`<${Name} of=${one.replica} />` },
  { title: "Address", kind: "code", cell: (one) => one.address ?? "–" },
];

/** Whether a close code is how connections should end. */
function kindOf(code) {
  if (code === 1000 || code === 1001 || (code >= 4200 && code < 4300)) return "calm";
  return code >= 4400 || code === 1011 ? "bad" : "warn";
}

const AUDIT = [
  { title: "When", cell: (one) => moment(one.at) },
  { title: "Who", cell: (one) => html`<${Name} of=${one.by || "–"} />` },
  { title: "What", cell: (one) => html`<b>${one.event}</b>` },
  { title: "Facts", kind: "wide", cell: ({ facts }) => html`<${Told} facts=${facts} />` },
];

/** What was written down beside it, each name before its value. */
const Told = ({ facts }) => html`
  <ul class="told">
    ${Object.entries(facts).map(([name, value]) => html`<li key=${name}>${name} <${Name} of=${value} /></li>`)}
  </ul>
`;

const REVOKED = [
  { title: "When", cell: (one) => moment(one.revoked_at) },
  { title: "By", cell: (one) => html`<${Name} of=${one.by || "–"} />` },
  {
    title: "Whose",
    cell: (one) =>
      one.user_id ? html`all of <a href=${to("users", one.user_id)}><${Name} of=${one.user_id} /></a>` : "one token",
  },
  { title: "Token", kind: "code", cell: (one) => html`<${Name} of=${one.token_id ?? "–"} />` },
  { title: "Issued before", cell: (one) => moment(one.before) },
  { title: "Remembered until", cell: (one) => moment(one.expires_at) },
];

const PARTS = { connections: Ended, audit: Audit, revoked: Revocations };

export function History({ query }) {
  const { what = "connections", user_id: user = "" } = query;
  const show = (more) => go(to("history", "", { ...query, ...more }), true);
  const isAdmin = useMay("admin");
  const of = (one) => show({ user_id: one });
  return html`
    <${Head} title="History">
      ${what === "connections" && html`<${Search} label="User id" value=${user} change=${of} />`}
      <${Switch}
        label="Which"
        value=${what}
        change=${(next) => show({ what: next })}
        options=${[
          ["connections", "Connections"],
          ["audit", "Audit"],
          ...(isAdmin ? [["revoked", "Revoked tokens"]] : []),
        ]}
      />
    <//>
    <${Object.hasOwn(PARTS, what) ? PARTS[what] : Ended} user=${user} />
  `;
}

function Ended({ user }) {
  const pages = usePages("history", { query: { user_id: user }, every: POLL_MS });
  return html`<${Listed}
    pages=${pages}
    caption="Connections that ended"
    columns=${CONNECTIONS}
    keyOf=${(one) => one.connection_id}
    empty=${
      user
        ? html`<${Empty} title=${`Nothing of ${user}`}>User ids are compared whole.<//>`
        : html`<${Empty} title="No connection has ended yet">What ends is kept here for a while.<//>`
    }
  />`;
}

function Revocations() {
  const pages = usePages("tokens/revoked", { every: POLL_MS });
  return html`<${Listed}
    pages=${pages}
    caption="Tokens that were revoked"
    columns=${REVOKED}
    keyOf=${(one) => one.id}
    empty=${html`<${Empty} title="No token is revoked">A user's sheet can log them out everywhere.<//>`}
  />`;
}

function Audit() {
  const pages = usePages("audit", { every: POLL_MS });
  return html`<${Listed}
    pages=${pages}
    caption="What operators did"
    columns=${AUDIT}
    keyOf=${(one) => one.id}
    empty=${html`
      <${Empty} title="Nothing was done yet">
        Disconnecting, answering for others, revoking tokens and the like are kept here.
      <//>
    `}
  />`;
}

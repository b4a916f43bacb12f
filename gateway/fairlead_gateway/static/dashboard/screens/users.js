// Who is online, however many connections each has.

import { ask, segment } from "../core/api.js";
import { count, moment, ms, several, span, tail } from "../core/format.js";
import { html, useEffect, useState } from "../core/html.js";
import { useLoaded, usePages } from "../core/load.js";
import { on } from "../core/monitor.js";
import { go, to } from "../core/route.js";
import { Icon } from "../pieces/icons.js";
import { Reason, Sheet, Sure, useOpen } from "../pieces/dialogs.js";
import { May } from "../pieces/may.js";
import { SendForm } from "../pieces/send.js";
import { Badge, Card, Head, Name } from "../pieces/small.js";
import { Empty, More, Shown, Silent } from "../pieces/states.js";
import { Table } from "../pieces/table.js";
import { say, trying } from "../pieces/toasts.js";

const POLL_MS = 10_000;
const SETTLE_MS = 1000;

export function Users({ id }) {
  const pages = usePages("online-users", { every: POLL_MS, limit: 200 });
  // Whoever comes or goes is told on the socket; many at once are one reason to look.
  useEffect(() => {
    let timer = 0;
    const end = on("user_status_update", () => {
      clearTimeout(timer);
      timer = setTimeout(pages.refresh, SETTLE_MS);
    });
    return () => (clearTimeout(timer), end());
  }, []);
  const shown = `${count(pages.items.length)}${pages.isMore ? " and more" : ""} online`;
  return html`
    <${Head} title="Users" about=${pages.items.length ? shown : ""}>
      <button class="quiet" onClick=${pages.reload}><${Icon} name="refresh" />Refresh</button>
    <//>
    <${Silent} replicas=${pages.silent} />
    <${Shown} of=${pages} rows=${8}>
      ${() => html`
        ${
          pages.items.length
            ? html`<ul class="names" aria-label="Users who are online">
                ${pages.items.map((one) => html`<${User} key=${one.user_id} id=${one.user_id} />`)}
              </ul>`
            : html`<${Empty} title="Nobody is online">Whoever connects with a token appears here.<//>`
        }
        <${More} pages=${pages} />
      `}
    <//>
    ${id && html`<${OneUser} key=${id} id=${id} close=${() => go(to("users"))} />`}
  `;
}

const User = ({ id }) => html`
  <li>
    <a href=${to("users", id)}><${Name} of=${id} /></a>
  </li>
`;

function OneUser({ id, close }) {
  // Asked for by a filter, not by a path, in which not every id can stand.
  const found = useLoaded("connections", { query: { user_id: id }, every: 3000 });
  const [isAsking, openSure, closeSure] = useOpen();
  const [isEnding, openEnd, closeEnd] = useOpen();
  const [answers, setAnswers] = useState({});
  const ping = async () => {
    const told = await trying(
      () => ask("POST", `ping/${segment(id)}`),
      (all) => `${count(all.answers.filter((one) => one.is_alive).length)} of ${count(all.answers.length)} answered.`,
    );
    if (told) setAnswers(Object.fromEntries(told.answers.map((one) => [one.connection_id, one])));
  };
  const trip = (one) => {
    const answer = answers[one.connection_id];
    return answer && !answer.is_alive
      ? html`<${Badge} kind="bad">no answer<//>`
      : ms(answer?.round_trip_ms ?? one.round_trip_ms);
  };
  const columns = [
    {
      title: "Connection",
      kind: "code",
      cell: (one) => html`<a href=${to("connections", one.connection_id)}>${tail(one.connection_id)}</a>`,
    },
    { title: "Replica", cell: (one) => html`<${Name} of=${one.replica} />` },
    { title: "Round trip", kind: "number", cell: trip },
  ];
  return html`
    <${Sheet} title=${id} about="User" close=${close}>
      <${Shown} of=${found} rows=${3}>
        ${({ items, silent }) => html`
          <${Silent} replicas=${silent} />
          ${
            items.length
              ? html`<${Table}
                  caption="Their connections"
                  columns=${columns}
                  rows=${items}
                  keyOf=${(one) => one.connection_id}
                />`
              : html`<${Empty} title="Not connected">What is sent is kept for them, as far as history reaches.<//>`
          }
        `}
      <//>
      <${May} needs="operator" what="Pinging, sending and disconnecting">
        <p class="row"><button class="quiet" onClick=${ping}>Ping all now</button></p>
        <${Card} title="Send a message">
          <${SendForm} send=${(body) => ask("POST", `users/${segment(id)}/messages`, { body })} />
        <//>
        <p><button class="danger" onClick=${openSure}>Disconnect everywhere…</button></p>
      <//>
      <${May} needs="admin" what="Logging somebody out">
        <p><button class="danger" onClick=${openEnd}>Log out everywhere…</button></p>
      <//>
      <${Lately} id=${id} />
      ${isAsking && html`<${DisconnectUser} id=${id} close=${closeSure} done=${found.reload} />`}
      ${isEnding && html`<${LogOut} id=${id} close=${closeEnd} done=${found.reload} />`}
    <//>
  `;
}

const LAST = [
  { title: "Ended", cell: (one) => moment(one.ended_at) },
  { title: "Lasted", cell: (one) => span(one.seconds) },
  { title: "Why", cell: (one) => html`${one.code} <${Name} of=${one.reason ?? ""} />` },
];

/** When they were last here. */
function Lately({ id }) {
  const found = useLoaded("history", { query: { user_id: id, limit: 3 }, every: POLL_MS });
  return html`
    <h3>Last seen</h3>
    <${Shown} of=${found} rows=${2}>
      ${({ items }) =>
        items.length
          ? html`<${Table}
                caption="Connections that ended"
                columns=${LAST}
                rows=${items}
                keyOf=${(one) => one.connection_id}
              />
              <p><a href=${to("history", "", { user_id: id })}>All that is kept</a></p>`
          : html`<p class="about">No connection of theirs has ended, as far as the history reaches.</p>`}
    <//>
  `;
}

/** Ask, then revoke all tokens that somebody has now. */
function LogOut({ id, close, done }) {
  const act = async () => {
    const { closed, silent } = await ask("POST", "tokens/revoke", { body: { user_id: id } });
    const late = silent.length ? ` ${silent.join(", ")} has not confirmed it yet.` : "";
    say(`Logged out ${id}; ${several(closed, "connection")} closed.${late}`);
    done();
  };
  return html`
    <${Sure} title="Log this user out everywhere?" verb="Log out" close=${close} act=${act}>
      <p>
        Every token that <${Name} of=${id} /> has now is revoked on every replica, and the connections are closed with
        4401. A token issued later is good.
      </p>
    <//>
  `;
}

function DisconnectUser({ id, close, done }) {
  const act = async (form) => {
    const reason = form.get("reason").trim();
    const { closed } = await ask("POST", "users/disconnect", { body: { user_id: id, ...(reason ? { reason } : {}) } });
    say(`Closed ${several(closed.length, "connection")} of ${id}.`);
    done();
  };
  return html`
    <${Sure} title="Disconnect this user everywhere?" verb="Disconnect" close=${close} act=${act}>
      <p>Every socket of <${Name} of=${id} />, on every replica, is closed with 4003.</p>
      <${Reason} />
    <//>
  `;
}

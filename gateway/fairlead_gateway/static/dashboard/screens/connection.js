// One connection: how well it is, and what can be done with it.

import { ask, segment } from "../core/api.js";
import { bytes, moment, ms } from "../core/format.js";
import { html, useState } from "../core/html.js";
import { useLoaded } from "../core/load.js";
import { useMay } from "../core/rank.js";
import { to } from "../core/route.js";
import { Reason, Sheet, Sure, useOpen } from "../pieces/dialogs.js";
import { May } from "../pieces/may.js";
import { SendForm } from "../pieces/send.js";
import { Badge, Card, Facts, Id, Json, Name } from "../pieces/small.js";
import { Shown } from "../pieces/states.js";
import { say, trying } from "../pieces/toasts.js";

const POLL_MS = 2000;

/** @param {{ id: string, close: () => void }} of */
export function OneConnection({ id, close }) {
  const found = useLoaded(`connections/${segment(id)}`, { every: POLL_MS });
  return html`
    <${Sheet} title=${found.data?.user_id ?? "Connection"} about="Connection" close=${close}>
      <${Shown} of=${found} rows=${8}>
        ${(one) => html`<${Detail} one=${one} isGone=${found.problem?.status === 404} close=${close} />`}
      <//>
    <//>
  `;
}

function Detail({ one, isGone, close }) {
  const [isAsking, openSure, closeSure] = useOpen();
  const isOperator = useMay("operator");
  if (isGone)
    return html`<p class="note warn">
      It has ended. <a href=${to("history", "", { user_id: one.user_id })}>How, is in the history.</a>
    </p>`;
  return html`
    <p class="row">
      <${Badge} kind=${one.is_alive ? "good" : "bad"}>${one.is_alive ? "answers" : "silent"}<//>
      ${QUALITY[one.quality] && html`<${Badge} kind=${QUALITY[one.quality]}>${one.quality} line<//>`}
    </p>
    <${Facts}
      of=${[
        ["Id", html`<${Id} of=${one.connection_id} />`],
        ["Replica", html`<a href=${to("replicas", one.replica)}><${Name} of=${one.replica} /></a>`],
        ["Session", one.session_id && html`<${Name} of=${one.session_id} />`],
        ["Instance", one.instance && html`<${Name} of=${one.instance} />`],
        ["Device", one.device_id && html`<${Name} of=${one.device_id} />`],
        ["Address", one.address],
        ["Connected", moment(one.connected_at)],
        ["Token ends", one.expires_at && moment(one.expires_at)],
        ["Last pong", moment(one.last_pong)],
        ["Round trip", ms(one.round_trip_ms)],
        ["Not yet read", one.outbox_bytes === undefined ? undefined : bytes(one.outbox_bytes)],
      ]}
    />
    <${May} needs="operator" what="Pinging, sending and disconnecting">
      <${Ping} user=${one.user_id} connection=${one.connection_id} />
    <//>
    ${
      one.channels &&
      html`<h3>Hears</h3>
        <ul class="chips">
          ${one.channels.map((name) => html`<li key=${name}><${Name} of=${name} /></li>`)}
        </ul>`
    }
    ${
      Object.keys(one.metadata ?? {}).length > 0 &&
      html`<h3>Metadata</h3>
        <${Json} value=${one.metadata} />`
    }
    ${
      isOperator &&
      html`<${Card} title="Send a message" about=${html`to every connection of <${Name} of=${one.user_id} />`}>
          <${SendForm} send=${(body) => ask("POST", `users/${segment(one.user_id)}/messages`, { body })} />
        <//>
        <p><button class="danger" onClick=${openSure}>Disconnect…</button></p>`
    }
    ${isAsking && html`<${Disconnect} one=${one} close=${closeSure} done=${close} />`}
  `;
}

const QUALITY = { good: "good", fair: "warn", poor: "bad" };

/** A real round trip, now. */
function Ping({ user, connection }) {
  const [answer, setAnswer] = useState(null);
  const ping = async () => {
    setAnswer("…");
    const told = await trying(() => ask("POST", `ping/${segment(user)}`), "Pinged.");
    const mine = told?.answers.find((one) => one.connection_id === connection);
    setAnswer(mine?.is_alive ? ms(mine.round_trip_ms) : "no answer");
  };
  return html`<p class="row">
    <button class="quiet" onClick=${ping}>Ping now</button><output aria-live="polite">${answer}</output>
  </p>`;
}

/** Ask, then close one connection. */
export function Disconnect({ one, close, done }) {
  const act = async (form) => {
    const reason = form.get("reason").trim();
    const body = reason ? { reason } : {};
    await ask("POST", `connections/${segment(one.connection_id)}/disconnect`, { body });
    say(`Disconnected ${one.user_id}.`);
    done();
  };
  return html`
    <${Sure} title="Disconnect this connection?" verb="Disconnect" close=${close} act=${act}>
      <p>
        <${Name} of=${one.user_id} /> on <${Name} of=${one.replica} />: the socket is closed with 4003, and its client
        does not come back by itself.
      </p>
      <${Reason} />
    <//>
  `;
}

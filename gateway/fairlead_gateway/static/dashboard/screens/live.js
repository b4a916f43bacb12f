// Messages and events while they happen.

import { useCell } from "../core/cell.js";
import { bytes, count, rate } from "../core/format.js";
import { html, useEffect, useState } from "../core/html.js";
import { line } from "../core/monitor.js";
import { clear, pause, resume, unwatch, watch, watched } from "../core/watching.js";
import { Sheet, useKeys } from "../pieces/dialogs.js";
import { Badge, Facts, Field, Head, Json, Name } from "../pieces/small.js";
import { Empty, NotLive } from "../pieces/states.js";
import { Trace } from "../pieces/trace.js";

const SHOWN = 200;
const AT_FIRST = { messages: true, events: "*", types: "*", channels: "*", max_per_second: 20 };

const patterns = (text) => text.split(/[\s,]+/).filter(Boolean);

export function Live() {
  const [wish, setWish] = useState(AT_FIRST);
  const { items, held, isPaused, dropped, rate: perSecond, problem } = useCell(watched);
  const { phase } = useCell(line);
  const [opened, setOpened] = useState(null);
  const toggle = () => (watched.value.isPaused ? resume() : pause());
  useKeys({ " ": toggle });

  useEffect(() => {
    const timer = setTimeout(
      () =>
        watch({
          ...wish,
          events: patterns(wish.events),
          types: patterns(wish.types),
          channels: patterns(wish.channels),
        }),
      200,
    );
    return () => clearTimeout(timer);
  }, [wish]);
  useEffect(() => unwatch, []);

  const isOpen = phase === "open";
  return html`
    <${Head} title="Live" about="Of every replica, as it happens; a busy fleet is sampled.">
      <output class="figure" aria-live="off" title="shown per second">${rate(perSecond)}</output>
      <output class="figure" data-dropped aria-live="off" title="left out, to keep to the rate">
        ${count(dropped)} left out
      </output>
      <button class="quiet" onClick=${clear}>Clear</button>
      <button aria-pressed=${String(isPaused)} title="Space" onClick=${toggle}>
        ${isPaused ? `Go on (${count(held.length)} waiting)` : "Pause"}
      </button>
    <//>
    <${NotLive} />
    <${Filters} wish=${wish} change=${(more) => setWish({ ...wish, ...more })} />
    ${problem && isOpen && html`<p class="note bad" role="alert">${problem}</p>`}
    ${
      items.length
        ? html`<ol class="stream" aria-label="Newest first" aria-live="off">
            ${items.slice(0, SHOWN).map((item) => html`<${Line} key=${item.number} item=${item} open=${setOpened} />`)}
          </ol>`
        : html`<${Empty} title="Nothing yet">What passes the filter appears here the moment it happens.<//>`
    }
    ${opened && html`<${Detail} item=${opened} close=${() => setOpened(null)} />`}
  `;
}

function Filters({ wish, change }) {
  const text = (name) => ({ value: wish[name], onInput: (event) => change({ [name]: event.target.value }) });
  return html`
    <form class="filters" onSubmit=${(event) => event.preventDefault()}>
      <label class="check">
        <input
          type="checkbox"
          checked=${wish.messages}
          onChange=${({ target }) => change({ messages: target.checked })}
        />
        Messages
      </label>
      <${Field} label="Types"><input name="types" ...${text("types")} placeholder="chat_*" /><//>
      <${Field} label="Channels"><input name="channels" ...${text("channels")} placeholder="session:* user:42" /><//>
      <${Field} label="Events"><input name="events" ...${text("events")} placeholder="user_*; empty for none" /><//>
      <${Field} label=${`At most ${wish.max_per_second} a second`}>
        <input
          type="range"
          min="1"
          max="100"
          value=${wish.max_per_second}
          onInput=${(event) => change({ max_per_second: Number(event.target.value) })}
        />
      <//>
    </form>
  `;
}

function Line({ item, open }) {
  const isMessage = item.kind === "message";
  const facts = isMessage
    ? [item.from && `from ${item.from}`, bytes(item.bytes)]
    : Object.entries(told(item)).map(([key, value]) => `${key} ${text(value)}`);
  return html`
    <li>
      <button onClick=${() => open(item)}>
        <time>${new Date(item.at).toLocaleTimeString("en-GB")}</time>
        <${Badge} kind=${isMessage ? "info" : "calm"}>${isMessage ? "message" : "event"}<//>
        <b><bdi>${isMessage ? item.message_type : item.event}</bdi></b>
        <span class="channel"><bdi>${item.channel ?? ""}</bdi></span>
        <span class="rest"><bdi>${facts.filter(Boolean).join(" · ")}</bdi></span>
        <span class="where"><bdi>${item.replica}</bdi></span>
      </button>
    </li>
  `;
}

const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/** The facts of an event, without what stands beside them. */
function told({ kind, at, replica, event, channel, number, ...facts }) {
  return facts;
}

/** What a message says, which comes as text and may have been cut. */
function parsed(content) {
  try {
    return JSON.parse(content);
  } catch {
    return content;
  }
}

function Detail({ item, close }) {
  const { number, content, ...facts } = item;
  const isMessage = item.kind === "message";
  return html`
    <${Sheet}
      title=${isMessage ? item.message_type : item.event}
      about=${isMessage ? "Message" : "Event"}
      close=${close}
    >
      <${Facts} of=${Object.entries(facts).map(([key, value]) => [key, html`<${Name} of=${text(value)} />`])} />
      ${
        content !== undefined
          ? html`<h3>Content</h3>
              <${Json} value=${parsed(content)} />`
          : isMessage &&
            html`<p class="about">
              What it says is shown to admins alone, and only where the setting live_content allows it.
            </p>`
      }
      ${
        isMessage &&
        item.id &&
        html`<h3>Its way</h3>
          <${Trace} id=${item.id} />`
      }
    <//>
  `;
}

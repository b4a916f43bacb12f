// The playground: connect as somebody, say anything the protocol knows, see every frame.

import { useCell } from "../core/cell.js";
import { html, useEffect, useRef, useState } from "../core/html.js";
import { clear, close, connect, played, send } from "../core/player.js";
import { read, session } from "../core/session.js";
import { Badge, Card, Field, Head, Json, Switch } from "../pieces/small.js";
import { Empty } from "../pieces/states.js";

const PATHS = ["/ws", "/ws/chat/session/lobby", "/ws/instance/counter", "/ws/monitor/tasks", "/ws/admin/monitor"];
const ACTIONS = {
  ping: {},
  message: { session_id: "lobby", content: "hello" },
  subscribe: { channels: ["topic:prices"] },
  unsubscribe: { channels: ["topic:prices"] },
  join_session: { session_id: "lobby" },
  leave_session: { session_id: "lobby" },
  typing: { session_id: "lobby", is_typing: true },
  subscribe_task: { task_id: "t1" },
  get_state: { channel: "instance:counter" },
  list_confirms: {},
  confirm: { callback_id: "", proceed: true },
  watch_live: { messages: true, events: ["*"], types: ["*"], channels: ["*"], max_per_second: 10 },
};
const PHASES = { closed: ["calm", "closed"], connecting: ["warn", "connecting"], open: ["good", "open"] };

let counter = 0;
const example = (action) => JSON.stringify({ action, id: String(++counter), ...ACTIONS[action] }, null, 2);

export function Playground() {
  const { phase, frames, positions } = useCell(played);
  const [kind, word] = PHASES[phase];
  return html`
    <${Head} title="Playground" about="A client like any other, with the frames both ways.">
      <${Badge} kind=${kind}>${word}<//>
    <//>
    <div class="playground">
      <div>
        <${Connect} phase=${phase} positions=${positions} />
        <${Say} isOpen=${phase === "open"} />
      </div>
      <${Frames} frames=${frames} />
    </div>
  `;
}

function Connect({ phase, positions }) {
  const [path, setPath] = useState(PATHS[0]);
  const [token, setToken] = useState("");
  const [recovers, setRecovers] = useState(true);
  const who = token ? read(token) : session.value;
  const known = Object.keys(positions).length;
  const submit = (event) => {
    event.preventDefault();
    connect({ path, token: token.trim() || session.value.token, recovers });
  };
  return html`
    <${Card} title="Connect" about=${who ? html`as <bdi>${who.user}</bdi>` : "that is no token"}>
      <form onSubmit=${submit}>
        <${Field} label="Path">
          <input
            name="path"
            class="code"
            list="paths"
            value=${path}
            required
            onInput=${(event) => setPath(event.target.value)}
          />
        <//>
        <datalist id="paths">${PATHS.map((one) => html`<option value=${one}></option>`)}</datalist>
        <${Field} label="Token" hint="Empty: your own.">
          <textarea
            name="token"
            class="code"
            rows="2"
            spellcheck=${false}
            value=${token}
            onInput=${(event) => setToken(event.target.value)}
          ></textarea>
        <//>
        <label class="check">
          <input type="checkbox" checked=${recovers} onChange=${(event) => setRecovers(event.target.checked)} />
          Recover what was missed${known ? ` in ${known} ${known === 1 ? "channel" : "channels"}` : ""}
        </label>
        <div class="row">
          <button disabled=${!who}>${phase === "closed" ? "Connect" : "Connect again"}</button>
          ${phase !== "closed" && html`<button type="button" class="quiet" onClick=${close}>Close</button>`}
        </div>
      </form>
    <//>
  `;
}

function Say({ isOpen }) {
  const [text, setText] = useState(() => example("ping"));
  const [problem, setProblem] = useState("");
  const submit = (event) => {
    event.preventDefault();
    // What is no JSON is sent all the same: how that is answered is worth seeing, too.
    setProblem(send(compact(text)) ? "" : "Connect first.");
  };
  return html`
    <${Card} title="Say">
      <form onSubmit=${submit}>
        <${Field} label="Action">
          <select onChange=${(event) => setText(example(event.target.value))}>
            ${Object.keys(ACTIONS).map((one) => html`<option>${one}</option>`)}
          </select>
        <//>
        <${Field} label="Frame">
          <textarea
            name="frame"
            class="code"
            rows="7"
            spellcheck=${false}
            value=${text}
            onInput=${(event) => setText(event.target.value)}
          ></textarea>
        <//>
        <div class="row">
          <button disabled=${!isOpen}>Send</button>
          ${problem && html`<output class="bad" role="alert">${problem}</output>`}
        </div>
      </form>
    <//>
  `;
}

function compact(text) {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}

function Frames({ frames }) {
  const [form, setForm] = useState("line");
  const list = useRef(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    if (isAtEnd.current && list.current) list.current.scrollTop = list.current.scrollHeight;
  }, [frames, form]);
  const scrolled = ({ target }) =>
    (isAtEnd.current = target.scrollHeight - target.scrollTop - target.clientHeight < 40);
  const tools = html`<div class="row">
    <${Switch}
      label="How"
      value=${form}
      change=${setForm}
      options=${[
        ["line", "Lines"],
        ["json", "JSON"],
      ]}
    />
    <button class="quiet small" onClick=${clear}>Clear</button>
  </div>`;
  return html`
    <${Card} title="Frames" tools=${tools} kind="frames">
      ${
        frames.length
          ? html`<ol class="frames-list" ref=${list} onScroll=${scrolled} tabindex="0" aria-label="Frames, newest last">
              ${frames.map((frame) => html`<${Frame} key=${frame.number} frame=${frame} form=${form} />`)}
            </ol>`
          : html`<${Empty} title="No frame yet">Connect, and the gateway greets.<//>`
      }
    <//>
  `;
}

const WAYS = { in: ["←", "received"], out: ["→", "sent"], note: ["·", ""] };

function Frame({ frame: { way, at, text, type }, form }) {
  const [sign, word] = WAYS[way];
  const isTree = form === "json" && way !== "note";
  return html`
    <li class=${way}>
      <time>${new Date(at).toLocaleTimeString("en-GB")}</time>
      <span class="way"><span aria-hidden="true">${sign}</span><span class="unseen">${word}</span></span>
      <div>
        ${type && html`<b><bdi>${type}</bdi></b>`}
        ${isTree ? html`<${Pretty} text=${text} />` : html`<code><bdi>${text}</bdi></code>`}
      </div>
    </li>
  `;
}

function Pretty({ text }) {
  try {
    return html`<${Json} value=${JSON.parse(text)} />`;
  } catch {
    return html`<code><bdi>${text}</bdi></code>`;
  }
}

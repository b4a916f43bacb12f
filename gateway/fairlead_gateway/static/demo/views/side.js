// What is beside the conversation: who is there, what is shared, and what backends can be made to do.

import { useCell } from "../../dashboard/core/cell.js";
import { html, useState } from "../../dashboard/core/html.js";
import { Card, Face, useTick } from "./pieces.js";

const COLOURS = ["sea", "rope", "moss", "plum"];
const KINDS = ["info", "success", "warning", "error", "urgent"];

export function Crew({ seat }) {
  const { state } = useCell(seat.line);
  const people = useCell(seat.people.all);
  const left = people.some((one) => !one.isHere);
  useTick(left ? 1000 : 0);
  const gone = (at) => `left ${Math.max(0, Math.round((Date.now() - at) / 1000))} s ago`;
  const isThere = (one) => one.isHere && (state === "open" || one.name !== seat.user);
  const how = (one) => (one.connections > 1 ? `${one.connections} windows` : "here");
  return html`
    <${Card} title="Who is here" kind="crew">
      <ul>
        ${people.map(
          (one) => html`<li key=${one.name} class=${isThere(one) ? "here" : "gone"}>
            <${Face} name=${one.name} kind="small" />
            <span>${one.name}${one.name === seat.user && " (you)"}</span>
            <small>${isThere(one) ? how(one) : one.isHere ? "not connected" : gone(one.leftAt)}</small>
          </li>`,
        )}
        ${people.length === 0 && html`<li class="empty">Nobody yet</li>`}
      </ul>
    <//>
  `;
}

export function Shared({ seat }) {
  const { document, version, isOpen } = useCell(seat.counter.shown);
  const count = Number.isFinite(document.count) ? document.count : 0;
  const colour = COLOURS.includes(document.colour) ? document.colour : COLOURS[0];
  const change = (make) => seat.trying(() => seat.counter.change(make));
  const add = (step) => change((now) => ({ count: (Number.isFinite(now.count) ? now.count : 0) + step }));
  return html`
    <${Card} title="Shared counter" kind="shared" tools=${html`<small data-fact="version">version ${version}</small>`}>
      <div class="counter">
        <button class="round" disabled=${!isOpen} aria-label="One less" onClick=${() => add(-1)}>−</button>
        <output class=${colour} aria-label="Count" data-fact="count"><span key=${version}>${count}</span></output>
        <button class="round" disabled=${!isOpen} aria-label="One more" onClick=${() => add(1)}>+</button>
        <div class="colours" role="group" aria-label="Colour">
          ${COLOURS.map(
            (name) => html`<button
              key=${name}
              class=${`swatch ${name}`}
              disabled=${!isOpen}
              aria-label=${name}
              aria-pressed=${String(name === colour)}
              onClick=${() => change(() => ({ colour: name }))}
            ></button>`,
          )}
        </div>
      </div>
    <//>
  `;
}

export function Backends({ seat }) {
  const [kind, choose] = useState("info");
  return html`
    <${Card} title="What a backend can do" kind="backends">
      <div class="row">
        <button class="quiet small" onClick=${() => seat.backends.startTask()}>Start a task</button>
        <button class="quiet small" onClick=${() => seat.backends.askEverybody()}>Ask everybody</button>
        <span class="joined">
          <button class="quiet small" onClick=${() => seat.backends.notify(kind)}>Notify</button>
          <select aria-label="Kind of notification" value=${kind} onChange=${(event) => choose(event.target.value)}>
            ${KINDS.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
          </select>
        </span>
      </div>
    <//>
  `;
}

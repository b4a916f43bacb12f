// Small things that stand in many places.

import { html, useState } from "../core/html.js";
import { ends } from "../core/format.js";
import { say } from "./toasts.js";

/** A word with a colour (good, warn, bad, info, calm). @param {{ kind: string, children: unknown }} of */
export const Badge = ({ kind, children }) => html`<span class=${`badge ${kind}`}>${children}</span>`;

/** Names and values. @param {{ of: [string, unknown][] }} given */
export const Facts = ({ of }) => html`
  <dl class="facts">
    ${of.map(
      ([name, value]) =>
        html`<div key=${name}>
          <dt>${name}</dt>
          <dd>${value ?? "–"}</dd>
        </div>`,
    )}
  </dl>
`;

/** A screen's first line, and its tools. @param {{ title: string, about?: unknown, children?: unknown }} of */
export const Head = ({ title, about, children }) => html`
  <header class="head">
    <div>
      <h1 tabindex="-1">${title}</h1>
      ${about && html`<p class="about">${about}</p>`}
    </div>
    ${children && html`<div class="tools">${children}</div>`}
  </header>
`;

/** @param {{ title: string, about?: unknown, tools?: unknown, children: unknown, kind?: string }} of */
export const Card = ({ title, about, tools, children, kind = "" }) => html`
  <section class=${`card ${kind}`}>
    <header>
      <h2>${title}</h2>
      ${about && html`<p class="about">${about}</p>`}${tools}
    </header>
    ${children}
  </section>
`;

/** A value as JSON, spaced so that it can be read. */
export const Json = ({ value }) => html`<pre class="json" tabindex="0">${JSON.stringify(value, null, 2)}</pre>`;

/** An id: its ends to see, all of it to copy. @param {{ of: string }} given */
export function Id({ of }) {
  const copy = async () => {
    await navigator.clipboard?.writeText(of);
    say("Copied.");
  };
  return html`<button class="id" title=${`${of} – copy`} onClick=${copy}><bdi>${ends(of)}</bdi></button>`;
}

/** What people call something; from outside, so it may try to turn the line around. */
export const Name = ({ of }) => html`<bdi class="name" title=${of}>${of}</bdi>`;

/** A field that tells what was written a moment after the last key. */
export function Search({ label, value, change }) {
  const [text, setText] = useState(value);
  const [timer, setTimer] = useState(0);
  const write = (event) => {
    const next = event.target.value;
    setText(next);
    clearTimeout(timer);
    setTimer(setTimeout(() => change(next.trim()), 250));
  };
  return html`<input
    type="search"
    class="search"
    placeholder=${label}
    aria-label=${label}
    value=${text}
    onInput=${write}
  />`;
}

/** @param {{ label: string, value: string, options: [string, string][], change: (value: string) => void }} of */
export const Choice = ({ label, value, options, change }) => html`
  <select aria-label=${label} value=${value} onChange=${(event) => change(event.target.value)}>
    ${options.map(([key, text]) => html`<option value=${key} selected=${key === value}>${text}</option>`)}
  </select>
`;

/** Of two or three ways to see something; like `Choice`, but all are seen. */
export const Switch = ({ label, value, options, change }) => html`
  <div class="switch" role="group" aria-label=${label}>
    ${options.map(
      ([key, text]) =>
        html`<button aria-pressed=${String(key === value)} onClick=${() => change(key)}>${text}</button>`,
    )}
  </div>
`;

/** A field with its name above. */
export const Field = ({ label, hint, children }) => html`
  <label class="field"><span>${label}</span>${children}${hint && html`<small>${hint}</small>`}</label>
`;

export const Bar = ({ value, label }) => html`<progress max="100" value=${value ?? 0} aria-label=${label}></progress>`;

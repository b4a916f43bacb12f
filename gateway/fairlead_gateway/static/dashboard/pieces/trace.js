// The way of one message through the replicas, step by step.

import { segment } from "../core/api.js";
import { html } from "../core/html.js";
import { useLoaded } from "../core/load.js";
import { Name } from "./small.js";
import { Empty, Shown, Silent } from "./states.js";

/** @param {{ id: string }} of */
export function Trace({ id }) {
  const found = useLoaded(`messages/${segment(id)}/trace`);
  return html`
    <${Shown} of=${found} rows=${3}>
      ${({ steps, silent, note }) => html`
        <${Silent} replicas=${silent} />
        ${
          steps.length
            ? html`<ol class="trace">
                ${steps.map((step) => html`<${Step} step=${step} first=${first(steps)} />`)}
              </ol>`
            : html`<${Empty} title="No replica remembers it">Only the latest messages are remembered.<//>`
        }
        ${note && html`<p class="about">${note}</p>`}
      `}
    <//>
  `;
}

/** When it began: of some steps it is not known when they were. */
const first = (steps) => Date.parse(steps.find((step) => step.at)?.at);

function Step({ step: { at, station, replica, channel, ...facts }, first }) {
  const rest = Object.entries(facts).map(
    ([key, value]) => `${key} ${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return html`
    <li>
      <b>${station}</b> <${Name} of=${replica ?? ""} /> <small>${at && `+${Date.parse(at) - first} ms`}</small>
      <small class="about"><bdi>${[channel, ...rest].filter(Boolean).join(" · ")}</bdi></small>
    </li>
  `;
}

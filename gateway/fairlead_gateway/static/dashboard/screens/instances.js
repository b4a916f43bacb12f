// Instances: documents that their readers see change, and who reads them.

import { segment } from "../core/api.js";
import { count } from "../core/format.js";
import { html } from "../core/html.js";
import { useLoaded, usePages } from "../core/load.js";
import { go, to } from "../core/route.js";
import { Sheet } from "../pieces/dialogs.js";
import { Facts, Head, Name } from "../pieces/small.js";
import { Empty, Shown } from "../pieces/states.js";
import { Listed } from "../pieces/table.js";
import { Tree } from "../pieces/tree.js";

const POLL_MS = 5000;

const COLUMNS = [
  {
    title: "Instance",
    cell: (one) => html`<a href=${to("instances", one.instance)}><${Name} of=${one.instance} /></a>`,
  },
  { title: "Readers", kind: "number", cell: (one) => count(one.connections) },
  { title: "", kind: "act", cell: (one) => html`<a href=${to("connections", "", { instance: one.instance })}>Who reads it</a>` },
];

export function Instances({ id }) {
  const pages = usePages("instances", { every: POLL_MS, limit: 200 });
  return html`
    <${Head} title="Instances" about="Documents that are patched, and those who see them change." />
    <${Listed}
      pages=${pages}
      caption="Instances"
      columns=${COLUMNS}
      keyOf=${(one) => one.instance}
      open=${(one) => go(to("instances", one.instance))}
      empty=${html`<${Empty} title="No instance has a reader">Clients read one at <code>/ws/instance/NAME</code>.<//>`}
    />
    ${id && html`<${OneInstance} id=${id} />`}
  `;
}

function OneInstance({ id }) {
  const found = useLoaded(`instances/${segment(id)}`, { every: 2000 });
  return html`
    <${Sheet} title=${id} about="Instance" close=${() => go(to("instances"))}>
      <${Shown} of=${found} rows=${6}>
        ${({ connections, version, state, messages }) => html`
          <${Facts}
            of=${[
              ["Readers", count(connections)],
              ["Version", count(version)],
              ["Messages", count(messages)],
            ]}
          />
          <h3>State</h3>
          ${
            version
              ? html`<${Tree} value=${state} />`
              : html`<${Empty} title="Nothing was written yet">A backend's first patch makes the document.<//>`
          }
          <p><a class="button quiet" href=${to("connections", "", { instance: id })}>Who reads it</a></p>
        `}
      <//>
    <//>
  `;
}

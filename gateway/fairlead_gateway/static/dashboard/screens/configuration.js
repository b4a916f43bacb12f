// How the replica that answers is set up; secrets are told to be set, or not.

import { html, useState } from "../core/html.js";
import { useLoaded } from "../core/load.js";
import { Badge, Head, Search, Switch } from "../pieces/small.js";
import { Empty, Shown } from "../pieces/states.js";
import { Table } from "../pieces/table.js";

const COLUMNS = [
  { title: "Setting", kind: "code", cell: (one) => one.name },
  {
    title: "Value",
    kind: "code value",
    cell: (one) => html`<bdi>${one.is_secret ? html`<${Badge} kind="calm">${one.value}<//>` : text(one.value)}</bdi>`,
  },
  { title: "", cell: (one) => !one.is_default && html`<${Badge} kind="info">changed<//>` },
  { title: "About", kind: "wide", cell: (one) => html`<small>${worded(one.about)}</small>` },
];

/** The words of a docstring, where names stand between double backticks. */
const worded = (about) => about.split("``").map((part, at) => (at % 2 ? html`<code>${part}</code>` : part));

function text(value) {
  if (value === null || value === "") return "–";
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value.join(", ") || "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function Configuration() {
  const found = useLoaded("config");
  const [sought, seek] = useState("");
  const [which, setWhich] = useState("all");
  const isShown = (one) =>
    (which === "all" || !one.is_default) && `${one.name} ${one.about}`.toLowerCase().includes(sought.toLowerCase());
  return html`
    <${Head} title="Configuration" about="Of the replica that answers; no secret leaves it.">
      <${Search} label="Setting" value="" change=${seek} />
      <${Switch}
        label="Which"
        value=${which}
        change=${setWhich}
        options=${[
          ["all", "All"],
          ["set", "Changed"],
        ]}
      />
    <//>
    <${Shown} of=${found} rows=${10}>
      ${({ settings }) => {
        const rows = settings.filter(isShown);
        return rows.length
          ? html`<${Table} caption="Settings" columns=${COLUMNS} rows=${rows} keyOf=${(one) => one.name} />`
          : html`<${Empty} title="No such setting" />`;
      }}
    <//>
  `;
}

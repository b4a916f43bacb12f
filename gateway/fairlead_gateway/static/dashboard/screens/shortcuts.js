// The keys.

import { html } from "../core/html.js";
import { Sheet } from "../pieces/dialogs.js";
import { Facts } from "../pieces/small.js";
import { SCREENS } from "./all.js";

const EVERYWHERE = {
  "/": "search",
  t: "light or dark",
  "?": "these keys",
  Esc: "close what is open",
  Space: "pause, on Live",
};

export function Shortcuts({ close }) {
  const keys = (of) => of.map(([key, what]) => [what, html`<kbd>${key}</kbd>`]);
  return html`
    <${Sheet} title="Keyboard" close=${close}>
      <h3>Go to</h3>
      <${Facts} of=${keys(Object.values(SCREENS).map(({ key, title }) => [key, title]))} />
      <h3>Everywhere</h3>
      <${Facts} of=${keys(Object.entries(EVERYWHERE))} />
    <//>
  `;
}

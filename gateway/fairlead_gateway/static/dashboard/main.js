// The dashboard: a page of a replica, from which the whole fleet is seen and steered.

import { html, render } from "./core/html.js";
import { useCell } from "./core/cell.js";
import { rank } from "./core/rank.js";
import { resume, session } from "./core/session.js";
import "./core/series.js";
import { Toasts } from "./pieces/toasts.js";
import { SignIn } from "./screens/signin.js";
import { Shell } from "./shell.js";

function Dashboard() {
  const who = useCell(session);
  const known = useCell(rank);
  const inside = known ? html`<${Shell} key=${who?.token} />` : html`<p class="starting">Fairlead is starting…</p>`;
  return html`${who ? inside : html`<${SignIn} />`}<${Toasts} depth=${0} />`;
}

resume();
const place = document.getElementById("app");
place.replaceChildren();
render(html`<${Dashboard} />`, place);

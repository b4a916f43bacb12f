// The first line: what this is, light or dark, and a second window.

import { useCell } from "../../dashboard/core/cell.js";
import { html } from "../../dashboard/core/html.js";
import { switchTheme, theme } from "../../dashboard/core/theme.js";
import { Icon } from "../../dashboard/pieces/icons.js";

const OTHER = { ada: ["ben", 2], ben: ["ada", 1] };

export function Head({ seats = [] }) {
  const isDark = useCell(theme) === "dark";
  return html`
    <header class="top">
      <a class="brand" href="demo"><img src="demo/static/icon.svg" alt="" width="22" height="22" />Fairlead</a>
      <p class="lead">Write something. Then break something. <b>Nothing gets lost.</b></p>
      <${Second} seats=${seats} />
      <button class="icon-only" aria-label=${isDark ? "Light" : "Dark"} title=${isDark ? "Light" : "Dark"} onClick=${switchTheme}>
        <${Icon} name=${isDark ? "sun" : "moon"} />
      </button>
    </header>
  `;
}

/** Of two windows one can be opened again; of one the other. */
function Second({ seats }) {
  if (!seats.length) return null;
  const [user, replica] = seats.length > 1 ? ["ada", 2] : OTHER[seats[0].user] ?? ["ada", 1];
  const more = new URLSearchParams(location.search);
  more.set("user", user);
  more.set("replica", String(replica));
  return html`<a class="second" href=${`demo?${more}`} target="_blank" rel="noopener">Open a second window</a>`;
}

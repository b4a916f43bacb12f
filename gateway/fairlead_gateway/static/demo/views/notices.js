// Notifications, over everything else in a window.

import { useCell } from "../../dashboard/core/cell.js";
import { html } from "../../dashboard/core/html.js";
import { Icon } from "../../dashboard/pieces/icons.js";

const SIGNS = { info: "i", success: "✓", warning: "!", error: "×", urgent: "!!" };
const LOUD = ["error", "urgent"];

export function Notices({ seat }) {
  const all = useCell(seat.notices.all);
  const some = (isLoud) => all.filter((one) => LOUD.includes(one.type) === isLoud);
  return html`
    <div class="notices">
      <div role="alert">${some(true).map((one) => html`<${Notice} key=${one.id} seat=${seat} one=${one} />`)}</div>
      <div role="status">${some(false).map((one) => html`<${Notice} key=${one.id} seat=${seat} one=${one} />`)}</div>
    </div>
  `;
}

function Notice({ seat, one }) {
  return html`
    <div class=${`notice ${one.type} ${one.auto_close ? "closes" : ""}`} data-id=${one.id}>
      <i class="sign" aria-hidden="true">${SIGNS[one.type] ?? "i"}</i>
      <div>
        <p class="title"><span class="unseen">${one.type}: </span>${one.title}</p>
        <p>${one.message}</p>
        ${one.action_url && html`<a href=${one.action_url} target="_blank" rel="noopener">Have a look</a>`}
      </div>
      <button class="icon-only" aria-label=${`Close “${one.title}”`} onClick=${() => seat.notices.close(one.id)}>
        <${Icon} name="close" />
      </button>
    </div>
  `;
}

// Where there is room for one window: whose shall it be?

import { html } from "../../dashboard/core/html.js";
import { Face } from "./pieces.js";

export function Choose({ people }) {
  const link = (name, at) => {
    const more = new URLSearchParams(location.search);
    more.set("user", name);
    more.set("replica", String(at + 1));
    return `demo?${more}`;
  };
  return html`
    <main class="choose">
      <h1>Who are you?</h1>
      <p class="about">Take one here, and the other in a second window. Each is on a replica of its own.</p>
      <ul>
        ${people.map(
          (name, at) => html`<li key=${name}>
            <a href=${link(name, at)}><${Face} name=${name} /><span><b>${name}</b><small>on replica ${at + 1}</small></span></a>
          </li>`,
        )}
      </ul>
    </main>
  `;
}

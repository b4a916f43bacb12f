// One person's window: who and where, the conversation, what is shared, what can be broken.

import { useCell } from "../../dashboard/core/cell.js";
import { html } from "../../dashboard/core/html.js";
import { Break } from "./break.js";
import { Frames } from "./frames.js";
import { Notices } from "./notices.js";
import { Face } from "./pieces.js";
import { Questions } from "./question.js";
import { Backends, Crew, Shared } from "./side.js";
import { LineState } from "./state.js";
import { Talks } from "./talk.js";
import { Tasks } from "./task.js";

export function Window({ seat, isAlone }) {
  const { state } = useCell(seat.line);
  const replica = useCell(seat.replica);
  const title = isAlone ? html`<h1>${seat.user}</h1>` : html`<h2>${seat.user}</h2>`;
  return html`
    <section class=${`window ${state}`} aria-label=${`${seat.user}'s window`} data-user=${seat.user}>
      <header class="who">
        <${Face} name=${seat.user} kind="large" />
        <div>
          ${title}
          <p class="where">${replica ? html`on <b data-fact="replica">${replica}</b>` : "not connected yet"}</p>
        </div>
        <${LineState} seat=${seat} />
      </header>
      <div class="inside">
        <${Talks} seat=${seat} />
        <${Break} seat=${seat} />
        <div class="side">
          <${Crew} seat=${seat} />
          <${Shared} seat=${seat} />
          <${Tasks} seat=${seat} />
          <${Backends} seat=${seat} />
        </div>
        <${Questions} seat=${seat} />
        <${Notices} seat=${seat} />
      </div>
      <${Frames} seat=${seat} />
    </section>
  `;
}

// What goes over the wire, for those who want to know.

import { useCell } from "../../dashboard/core/cell.js";
import { html, useLayoutEffect, useRef, useState } from "../../dashboard/core/html.js";

export function Frames({ seat }) {
  const [isOpen, open] = useState(false);
  return html`
    <details class="frames" onToggle=${(event) => open(event.target.open)}>
      <summary>Frames on the wire</summary>
      ${isOpen && html`<${List} seat=${seat} />`}
    </details>
  `;
}

function List({ seat }) {
  const frames = useCell(seat.frames);
  const place = useRef(null);
  useLayoutEffect(() => {
    place.current.scrollTop = place.current.scrollHeight;
  }, [frames]);
  return html`
    <ol tabindex="0" aria-label="Frames" ref=${place}>
      ${frames.map(({ key, way, text }) => html`<li key=${key} class=${way}><span class="unseen">${way}: </span>${text}</li>`)}
    </ol>
  `;
}

// The road of a message: client, replica, Redis, replica, client; and the messages on it.

import { useCell } from "../../dashboard/core/cell.js";
import { html, useEffect, useRef } from "../../dashboard/core/html.js";
import { Face } from "./pieces.js";

const HOP_MS = 420;
const MOST = 40;

/** What is seen on the road, and in which colour; what is not here passes unseen. */
const SEEN = {
  message: "word",
  new_message: "word",
  patch: "change",
  task_update: "change",
  notification: "ask",
  task_step_result: "ask",
  confirm: "ask",
  confirm_closed: "ask",
  typing: "small",
  read: "small",
  message_status_update: "small",
};

/** A message on its way over some ropes, one behind the other. */
function travel(ropes, kind, isBackwards, after) {
  ropes.forEach((rope, at) => {
    if (!rope || rope.childElementCount > MOST) return;
    const dot = document.createElement("i");
    dot.className = `dot ${kind}`;
    rope.append(dot);
    const way = [{ left: "0%", opacity: 1 }, { left: "100%", opacity: 1 }];
    const delay = after + at * HOP_MS;
    const options = { duration: HOP_MS, delay, easing: "ease-in-out", direction: isBackwards ? "reverse" : "normal" };
    dot.animate(way, options).finished.then(() => dot.remove());
  });
}

const CALM = matchMedia("(prefers-reduced-motion: reduce)");

/** Let what a seat says and hears travel; the first two ropes from the left are those of a seat on the left. */
function useTravel(seat, place, isRight) {
  useEffect(
    () =>
      seat.onTravel((way, frame) => {
        const kind = SEEN[frame.action ?? frame.type];
        if (!kind || CALM.matches || document.hidden) return;
        const all = [...place.current.querySelectorAll(".strand")];
        const [near, far] = isRight ? [all.at(-1), all.at(-2)] : [all[0], all[1]];
        const isOut = way === "out";
        // What is heard was said a moment ago: let it be seen on its way there first.
        travel(isOut ? [near, far] : [far, near], kind, isOut === isRight, isOut ? 0 : 2 * HOP_MS);
      }),
    [seat],
  );
}

export function Road({ seats }) {
  const place = useRef(null);
  const [left, right] = seats;
  useTravel(left, place, false);
  return html`
    <div class=${`road of-${seats.length}`} ref=${place} role="img" aria-label="The road of a message: client, replica, Redis, replica, client">
      <${Client} seat=${left} /><${Rope} seat=${left} />
      <${Replica} seat=${left} /><${Rope} />
      <span class="stop redis"><${Drum} />Redis</span>
      <${Rope} />
      ${right ? html`<${Other} seat=${right} place=${place} />` : html`<span class="stop replica up">others</span>`}
    </div>
  `;
}

function Other({ seat, place }) {
  useTravel(seat, place, true);
  return html`<${Replica} seat=${seat} /><${Rope} seat=${seat} /><${Client} seat=${seat} />`;
}

function Client({ seat }) {
  return html`<span class="stop client"><${Face} name=${seat.user} kind="small" />${seat.user}</span>`;
}

function Replica({ seat }) {
  const { state } = useCell(seat.line);
  const name = useCell(seat.replica);
  const isKilled = useCell(seat.storm.isKilled);
  const how = isKilled ? "killed" : state === "open" ? "up" : "";
  return html`<span class=${`stop replica ${how}`}>${name || "replica"}</span>`;
}

function Rope({ seat }) {
  return seat ? html`<${Tied} seat=${seat} />` : html`<span class="strand"></span>`;
}

/** Between a client and its replica; it hangs loose when the connection is lost. */
function Tied({ seat }) {
  const { state } = useCell(seat.line);
  return html`<span class=${`strand ${state === "open" ? "" : "loose"}`}></span>`;
}

const Drum = () => html`<svg viewBox="0 0 16 16" class="icon" aria-hidden="true">
  <path d="M2.5 4c0-1.1 2.5-2 5.5-2s5.5.9 5.5 2-2.5 2-5.5 2-5.5-.9-5.5-2zM2.5 4v8c0 1.1 2.5 2 5.5 2s5.5-.9 5.5-2V4M2.5 8c0 1.1 2.5 2 5.5 2s5.5-.9 5.5-2" />
</svg>`;

// Two conversations, of which one is seen.

import { useCell } from "../../dashboard/core/cell.js";
import { html, useLayoutEffect, useRef } from "../../dashboard/core/html.js";
import { TALKS } from "../core/seat.js";
import { Face } from "./pieces.js";

const MARKS = {
  waiting: ["◷", "waiting to go out"],
  sent: ["✓", "sent"],
  delivered: ["✓✓", "delivered"],
  read: ["✓✓", "read"],
  failed: ["!", "not sent"],
};
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export function Talks({ seat }) {
  const current = useCell(seat.current);
  const id = (name) => `${seat.user}-${name}`;
  const turn = (event) => {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const next = TALKS[(TALKS.indexOf(current) + 1) % TALKS.length];
    seat.show(next);
    document.getElementById(`${id(next)}-tab`).focus();
  };
  return html`
    <div class="talks">
      <div class="tabs" role="tablist" aria-label="Conversations" onKeyDown=${turn}>
        ${TALKS.map((name) => html`<${Tab} key=${name} seat=${seat} name=${name} id=${id(name)} isCurrent=${name === current} />`)}
      </div>
      <${Talk} key=${current} seat=${seat} talk=${seat.talks[current]} id=${id(current)} />
    </div>
  `;
}

function Tab({ seat, name, id, isCurrent }) {
  const unread = useCell(seat.talks[name].unread);
  return html`
    <button
      role="tab"
      id=${`${id}-tab`}
      aria-selected=${String(isCurrent)}
      aria-controls=${isCurrent ? id : null}
      tabindex=${isCurrent ? 0 : -1}
      onClick=${() => seat.show(name)}
    >
      # ${name}${unread > 0 && html`<span class="count">${unread}<span class="unseen"> unread</span></span>`}
    </button>
  `;
}

function Talk({ seat, talk, id }) {
  const lines = useCell(talk.lines);
  const place = useRef(null);
  // It stays at its end by its style alone, unless somebody scrolls up; what one says oneself one wants to see.
  useLayoutEffect(() => {
    if (lines.at(-1)?.kind === "mine") place.current.scrollTop = 0;
  }, [lines]);
  return html`
    <div class="talk" role="tabpanel" id=${id} aria-labelledby=${`${id}-tab`}>
      <div class="scroll" role="log" aria-label=${`What is said in ${talk.name}`} tabindex="0" ref=${place}>
        <ol class="said">
          ${lines.length === 0 && html`<${Empty} talk=${talk} />`}
          ${lines.map((line, at) => html`<${Line} key=${line.key} line=${line} before=${lines[at - 1]} />`)}
        </ol>
      </div>
      <${Typing} talk=${talk} />
      <${Say} seat=${seat} talk=${talk} />
    </div>
  `;
}

const Empty = ({ talk }) => html`<li class="empty">
  <p>Nothing was said in ${talk.name} so far.</p>
  <button class="quiet" onClick=${() => talk.say("Hello!")}>Say hello</button>
</li>`;

function Line({ line, before }) {
  if (line.kind === "event") return html`<li class="event">${line.text}</li>`;
  const isFirst = before?.kind !== line.kind || before.from !== line.from;
  return html`
    <li class=${`${line.kind} ${line.mark ?? ""} ${isFirst ? "first" : ""}`} data-mark=${line.mark} data-offset=${line.offset}>
      ${line.kind === "theirs" && (isFirst ? html`<${Face} name=${line.from} kind="small" />` : html`<i class="face none"></i>`)}
      <div>
        ${line.kind === "theirs" && isFirst && html`<b class="from">${line.from}</b>`}
        <span class="text">${line.text}</span>
        <span class="foot">${CLOCK.format(line.at)}${line.mark && html`<${Mark} line=${line} />`}</span>
        ${line.why && html`<small class="why">${line.why}</small>`}
      </div>
    </li>
  `;
}

function Mark({ line }) {
  const [sign, word] = MARKS[line.mark];
  return html`<i class="mark" title=${word} role="img" aria-label=${word}>${sign}</i>`;
}

function Typing({ talk }) {
  const typists = useCell(talk.typing);
  const many = typists.length > 1 ? "are" : "is";
  return html`<p class="typing" role="status">
    ${typists.length > 0 && html`${typists.join(" and ")} ${many} typing<i class="dots" aria-hidden="true"><i></i><i></i><i></i></i>`}
  </p>`;
}

function Say({ seat, talk }) {
  const say = (event) => {
    event.preventDefault();
    const field = event.target.elements.text;
    const text = field.value.trim();
    if (text) talk.say(text);
    field.value = "";
  };
  const type = (event) => event.target.value && talk.session?.typing(true);
  const label = `Say something in ${talk.name} as ${seat.user}`;
  return html`
    <form class="say" onSubmit=${say}>
      <input name="text" autocomplete="off" maxlength="2000" placeholder=${`Say something in ${talk.name}`} aria-label=${label} onInput=${type} />
      <button aria-label="Send"><svg viewBox="0 0 16 16" class="icon" aria-hidden="true"><path d="M2 8h11M9 4l4 4-4 4" /></svg></button>
    </form>
  `;
}

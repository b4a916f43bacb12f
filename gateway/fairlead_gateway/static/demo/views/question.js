// A question: what it is about, the time that is left, and what happens without an answer.

import { useCell } from "../../dashboard/core/cell.js";
import { html, useLayoutEffect, useRef } from "../../dashboard/core/html.js";
import { clock } from "../core/names.js";
import { content, Form } from "./form.js";
import { useTick } from "./pieces.js";

const WITHOUT_ANSWER = { proceed: "goes on by itself", stop: "stops by itself", raise: "fails" };
const WORDS = {
  optional: "Say something with it, if you like",
  required: "Say why",
  required_on_stop: "Say why, if it is to stop",
};
const SOON_MS = 10_000;

export function Questions({ seat }) {
  const all = useCell(seat.questions.all);
  return html`
    <div class="questions" aria-live="assertive">
      ${all.map((one) => html`<${Question} key=${one.question.callbackId} seat=${seat} ...${one} />`)}
    </div>
  `;
}

function Question({ seat, question, errors, isSending }) {
  const place = useRef(null);
  useFocusBack(seat, place);
  const { frame, choices, severity, taskId, step } = question;
  const result = frame.step_result?.result;
  const about = [severity !== "info" && severity, taskId && `task ${taskId}${step ? `, step ${step}` : ""}`].filter(Boolean);
  const choose = (choice) => {
    const form = place.current;
    const words = form.elements.feedback;
    words.required = question.feedback === "required" || (question.feedback === "required_on_stop" && !choice.proceed);
    // Who stops need not fill in the form.
    if (!(choice.proceed ? form.reportValidity() : words.reportValidity())) return;
    const answer = { proceed: choice.proceed ?? true, choice: choice.value };
    if (words.value) answer.feedback = words.value;
    if (choice.proceed && question.schema) answer.content = content(form, question.schema);
    seat.questions.answer(question.callbackId, answer, choice.label);
  };
  const message = question.message || "Go on?";
  return html`
    <form class=${`question ${severity}`} role="alertdialog" aria-label=${message} ref=${place} onSubmit=${(event) => event.preventDefault()}>
      <p class="about">${about.join(" · ") || "question"}</p>
      <p class="message">${message}</p>
      ${result !== null && result !== undefined && html`<pre class="result">${typeof result === "string" ? result : JSON.stringify(result, null, 2)}</pre>`}
      <fieldset disabled=${isSending}>
        ${question.schema && html`<${Form} schema=${question.schema} />`}
        <input
          name="feedback"
          autocomplete="off"
          hidden=${question.feedback === "none"}
          aria-label="Your words"
          placeholder=${WORDS[question.feedback] ?? ""}
        />
        <ul class="errors" role="alert">${errors.map((one) => html`<li>${titled(one, question.schema)}</li>`)}</ul>
        <div class="choices">
          ${choices.map(
            (choice) => html`<button type="button" class=${choice.proceed ? "go" : "quiet"} onClick=${() => choose(choice)}>${choice.label}</button>`,
          )}
        </div>
      </fieldset>
      <${Countdown} question=${question} />
    </form>
  `;
}

/** `content.vlan` is called as the form calls it. */
function titled({ field, message }, schema) {
  const name = field.replace(/^content\./, "");
  return [schema?.properties?.[name]?.title ?? name, message].filter(Boolean).join(": ");
}

/** By the gateway's clock; a screen reader is told what happens, not every second. */
function Countdown({ question }) {
  useTick(250);
  const left = question.remainingMs();
  const { created_at: began, expires_at: ends } = question.frame.confirm;
  const part = Math.max(0, Math.min(1, left / (Date.parse(ends) - Date.parse(began))));
  return html`
    <div class=${`left ${left < SOON_MS ? "soon" : ""}`}>
      <progress max="1" value=${part} aria-hidden="true"></progress>
      <p class="countdown">${WITHOUT_ANSWER[question.onTimeout] ?? "ends"} in <span role="timer">${clock(left)}</span></p>
    </div>
  `;
}

/** A question that goes takes the focus with it; it goes to the next one, or to the conversation. */
function useFocusBack(seat, place) {
  useLayoutEffect(() => {
    const form = place.current;
    const window = form.closest(".window");
    let held = false;
    form.addEventListener("focusin", () => (held = true));
    const gone = ({ target }) => {
      if (!form.contains(target)) held = false;
    };
    document.addEventListener("focusin", gone);
    return () => {
      document.removeEventListener("focusin", gone);
      if (!held) return;
      const places = [...window.querySelectorAll(".question button:enabled, .say input")];
      places.find((one) => !form.contains(one))?.focus();
    };
  }, []);
}

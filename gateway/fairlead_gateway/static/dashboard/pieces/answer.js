// The answer to a question: its buttons, and its form where it has one.

import { ask, segment } from "../core/api.js";
import { html, useState } from "../core/html.js";
import { Field } from "./small.js";
import { say } from "./toasts.js";

const WORDS = {
  optional: "Say something with it, if you like",
  required: "Say why",
  required_on_stop: "Say why, if it is to stop",
};
const INPUTS = { email: "email", uri: "url", date: "date", "date-time": "datetime-local" };
const PLAIN = [
  { value: "proceed", label: "Go on", proceed: true },
  { value: "stop", label: "Stop", proceed: false },
];

/** @param {{ one: any, done: () => void }} of `one`: a question as the interface lists it */
export function AnswerForm({ one, done }) {
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const choices = one.choices?.length ? one.choices : PLAIN;
  const submit = async (event) => {
    event.preventDefault();
    const choice = choices[Number(event.submitter.value)];
    const form = event.target;
    if (choice.proceed !== false && !form.reportValidity()) return;
    setBusy(true);
    try {
      await ask("POST", `confirmations/${segment(one.callback_id)}/answer`, { body: answer(one, choice, form) });
      say("Answered.");
      done();
    } catch (error) {
      setProblem(error.message);
      setBusy(false);
    }
  };
  return html`
    <form class="answer" novalidate onSubmit=${submit}>
      ${Object.entries(one.schema?.properties ?? {}).map(
        ([name, asked]) =>
          html`<${Asked} key=${name} name=${name} asked=${asked} isRequired=${one.schema.required?.includes(name)} />`,
      )}
      ${one.feedback !== "none" && html`<${Feedback} hint=${WORDS[one.feedback]} />`}
      ${problem && html`<p class="note bad" role="alert">${problem}</p>`}
      <div class="buttons">
        ${choices.map((choice, at) => {
          const kind = choice.proceed === false ? "quiet" : "";
          return html`<button key=${choice.value} value=${at} disabled=${isBusy} class=${kind}>
            ${choice.label}
          </button>`;
        })}
      </div>
    </form>
  `;
}

const Feedback = ({ hint }) => html`
  <${Field} label="Feedback" hint=${hint}><input name="feedback" maxlength="2000" autocomplete="off" /><//>
`;

/** What is sent. */
function answer(one, choice, form) {
  const body = { proceed: choice.proceed !== false, source: "dashboard" };
  const feedback = form.elements.feedback?.value.trim();
  if (feedback) body.feedback = feedback;
  if (one.choices?.length) body.choice = choice.value;
  if (one.schema && body.proceed) body.content = content(one.schema, form);
  return body;
}

/** A form's fields, as its schema types them. What was not filled in is not there. */
function content(schema, form) {
  const written = Object.entries(schema.properties ?? {}).map(([name, asked]) => [
    name,
    value(asked, form.elements[`field ${name}`]),
  ]);
  return Object.fromEntries(written.filter(([, one]) => one !== undefined));
}

function value(asked, input) {
  if (asked.type === "boolean") return input.checked;
  if (input.value === "") return undefined;
  if (asked.type === "integer" || asked.type === "number") return input.valueAsNumber;
  return input.type === "datetime-local" ? new Date(input.value).toISOString() : input.value;
}

function Asked({ name, asked, isRequired }) {
  const label = `${asked.title ?? name}${isRequired || asked.type === "boolean" ? "" : " (optional)"}`;
  return html`<${Field} label=${label} hint=${asked.description}>${control(`field ${name}`, asked, isRequired)}<//>`;
}

function control(name, asked, required) {
  if (asked.enum) {
    const words = asked.enumNames ?? asked.enum;
    return html`
      <select name=${name} required=${required}>
        <option value=""></option>
        ${asked.enum.map(
          (one, at) => html`<option value=${one} selected=${one === asked.default}>${words[at] ?? one}</option>`,
        )}
      </select>
    `;
  }
  if (asked.type === "boolean") return html`<input type="checkbox" name=${name} checked=${asked.default === true} />`;
  if (asked.type === "string") {
    const { format, minLength, maxLength } = asked;
    return html`<input
      name=${name}
      type=${INPUTS[format] ?? "text"}
      required=${required}
      minlength=${minLength}
      maxlength=${maxLength}
      value=${asked.default ?? ""}
    />`;
  }
  const step = asked.type === "integer" ? "1" : "any";
  return html`<input
    name=${name}
    type="number"
    step=${step}
    required=${required}
    min=${asked.minimum}
    max=${asked.maximum}
    value=${asked.default ?? ""}
  />`;
}

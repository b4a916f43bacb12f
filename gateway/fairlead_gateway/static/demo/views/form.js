// The form of a question, as a flat JSON schema describes it.

import { html } from "../../dashboard/core/html.js";

const INPUTS = { email: "email", uri: "url", date: "date", "date-time": "datetime-local" };

/** Names in a form: a field may be called anything, also as a part of an element is. */
const at = (name) => `field ${name}`;

const fields = (schema) => Object.entries(schema.properties ?? {});

export const Form = ({ schema }) => html`
  <div class="form">
    ${fields(schema).map(
      ([name, asked]) => html`<${Field} key=${name} name=${name} asked=${asked} required=${schema.required?.includes(name) ?? false} />`,
    )}
  </div>
`;

function Field({ name, asked, required }) {
  const isSwitch = asked.type === "boolean";
  const title = (asked.title ?? name) + (required || isSwitch ? "" : " (optional)");
  return html`
    <label class=${asked.type}>
      <span>${title}</span>
      <${Control} name=${at(name)} asked=${asked} required=${required && !isSwitch} />
      ${asked.description && html`<small>${asked.description}</small>`}
    </label>
  `;
}

function Control({ name, asked, required }) {
  if (asked.enum) {
    const names = asked.enumNames ?? asked.enum;
    return html`<select name=${name} required=${required}>
      <option value=""></option>
      ${asked.enum.map((value, at) => html`<option value=${value} selected=${value === asked.default}>${names[at] ?? value}</option>`)}
    </select>`;
  }
  if (asked.type === "boolean") return html`<input type="checkbox" name=${name} defaultChecked=${asked.default === true} />`;
  const limits =
    asked.type === "string"
      ? { type: INPUTS[asked.format] ?? "text", minlength: asked.minLength, maxlength: asked.maxLength }
      : { type: "number", step: asked.type === "integer" ? "1" : "any", min: asked.minimum, max: asked.maximum };
  return html`<input name=${name} required=${required} ...${limits} defaultValue=${asked.default ?? ""} />`;
}

/** What was written; a field that is empty is left out. */
export function content(form, schema) {
  const written = fields(schema).map(([name, asked]) => [name, value(form.elements.namedItem(at(name)), asked.type)]);
  return Object.fromEntries(written.filter(([, one]) => one !== undefined));
}

function value(input, type) {
  if (type === "boolean") return input.checked;
  if (input.value === "") return undefined;
  if (type !== "string") return input.valueAsNumber;
  return input.type === "datetime-local" ? new Date(input.value).toISOString() : input.value;
}

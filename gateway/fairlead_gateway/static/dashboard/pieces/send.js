// A form that sends a message as a backend would.

import { html, useState } from "../core/html.js";
import { Field } from "./small.js";
import { several } from "../core/format.js";

const EXAMPLE = '{\n  "type": "notice",\n  "content": "hello"\n}';

/** @param {{ send: (body: object) => Promise<any>, verb?: string }} of */
export function SendForm({ send, verb = "Send" }) {
  const [told, setTold] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    setTold(await sent(send, new FormData(event.target).get("message")));
  };
  return html`
    <form onSubmit=${submit}>
      <${Field} label="Message, as JSON with a type">
        <textarea name="message" class="code" rows="4" required spellcheck=${false}>${EXAMPLE}</textarea>
      <//>
      <div class="row">
        <button>${verb}</button>${told && html`<output class=${told.kind} role="status">${told.text}</output>`}
      </div>
    </form>
  `;
}

async function sent(send, text) {
  try {
    const { receivers, duplicate } = await send({ message: JSON.parse(text) });
    if (duplicate) return { kind: "warn", text: "That was sent before." };
    return {
      kind: "good",
      text: receivers
        ? `Sent; ${several(receivers, "replica")} ${receivers === 1 ? "holds" : "hold"} somebody for it.`
        : "Sent; nobody is there to hear it now.",
    };
  } catch (error) {
    return { kind: "bad", text: error instanceof SyntaxError ? `Not JSON: ${error.message}` : error.message };
  }
}

// Where a token is asked for.

import { farewell, read, signIn } from "../core/session.js";
import { useCell } from "../core/cell.js";
import { html, useState } from "../core/html.js";
import { Field } from "../pieces/small.js";

export function SignIn() {
  const why = useCell(farewell);
  const [problem, setProblem] = useState("");
  const submit = (event) => {
    event.preventDefault();
    const { token } = Object.fromEntries(new FormData(event.target));
    if (!signIn(token))
      setProblem(read(token) ? "That token has expired." : "That is no token: it has three parts with dots between.");
  };
  return html`
    <main class="sign-in">
      <form class="card" onSubmit=${submit}>
        <p class="brand"><img src="static/dashboard/icon.svg" alt="" width="28" height="28" /> Fairlead</p>
        <h1>See and steer the fleet</h1>
        ${(problem || why) && html`<p class="note warn" role="alert">${problem || why}</p>`}
        <${Field} label="Token" hint="A JWT whose role may look: viewer, operator or admin. It stays in this tab.">
          <textarea name="token" rows="4" required spellcheck=${false} autocomplete="off" autofocus></textarea>
        <//>
        <button>Sign in</button>
        <p class="about">Make one where the gateway runs:</p>
        <pre tabindex="0">fairlead token create --user you --role admin --ttl 1h</pre>
      </form>
    </main>
  `;
}

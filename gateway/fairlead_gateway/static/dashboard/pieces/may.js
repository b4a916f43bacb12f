// What not everybody may do: there for those who may, and for the others the reason why it is not.

import { html } from "../core/html.js";
import { useMay } from "../core/rank.js";

const WHO = { operator: "operators and admins", admin: "admins" };

/** @param {{ needs: "operator" | "admin", what: string, children: unknown }} of `what`: "Sending messages" */
export function May({ needs, what, children }) {
  return useMay(needs) ? children : html`<p class="about withheld">${what} is for ${WHO[needs]}; your rank is lower.</p>`;
}

// Light or dark: as the system has it, until somebody chooses.

import { cell } from "./cell.js";

const KEY = "fairlead.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** `light` or `dark`. @type {import("./cell.js").Cell<string>} */
export const theme = cell(current());

function current() {
  return localStorage.getItem(KEY) ?? (system.matches ? "dark" : "light");
}

system.addEventListener("change", () => theme.set(current()));

export function switchTheme() {
  const next = theme.value === "dark" ? "light" : "dark";
  // Back to what the system has is back to no choice.
  if (next === (system.matches ? "dark" : "light")) {
    localStorage.removeItem(KEY);
    delete document.documentElement.dataset.theme;
  } else {
    localStorage.setItem(KEY, next);
    document.documentElement.dataset.theme = next;
  }
  theme.set(next);
}

/** A colour of the stylesheet as a canvas takes it. @param {string} name `--sea` */
export function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

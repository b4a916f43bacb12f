// What lies over the page: a sheet with details at its side, a box that asks before something is done.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../core/html.js";
import { Icon } from "./icons.js";
import { Field } from "./small.js";
import { Toasts, layers } from "./toasts.js";

/** The browser's own dialog keeps the keyboard inside, closes on Esc and gives the focus back. */
function Modal({ kind, label, close, children }) {
  const place = useRef(null);
  const focused = useRef(null);
  const [depth, setDepth] = useState(NaN);
  useLayoutEffect(() => {
    const dialog = place.current;
    keepGutter();
    dialog.showModal();
    layers.set(layers.value + 1);
    setDepth(layers.value);
    return () => {
      dialog.close();
      layers.set(layers.value - 1);
    };
  }, []);
  // What lies beside it may come later and move it, and whatever is moved lies over nothing any more.
  useLayoutEffect(() => {
    if (place.current.matches(":modal")) return;
    raise(place.current);
    focused.current?.focus();
  });
  const outside = (event) => event.target === place.current && close();
  return html`
    <dialog
      ref=${place}
      class=${kind}
      aria-label=${label}
      onCancel=${(event) => (event.preventDefault(), close())}
      onMouseDown=${outside}
      onFocusIn=${(event) => (focused.current = event.target)}
    >
      ${children}
      <${Toasts} depth=${depth} />
    </dialog>
  `;
}

/** Lay a dialog over the page again, and those that are open in it over it. */
function raise(dialog) {
  for (const one of [dialog, ...dialog.querySelectorAll("dialog")]) {
    one.close();
    one.showModal();
  }
}

/** Tell the stylesheet how wide the scrollbar is that goes: nothing may jump, and no strip stay beside the dialog. */
function keepGutter() {
  if (document.querySelector("dialog[open]")) return;
  const { clientWidth, style } = document.documentElement;
  style.setProperty("--gutter", `${innerWidth - clientWidth}px`);
}

/** @param {{ title: string, close: () => void, children: unknown, about?: unknown }} of */
export function Sheet({ title, about, close, children }) {
  return html`
    <${Modal} kind="sheet" label=${title} close=${close}>
      <header>
        <div>
          ${about && html`<p class="about">${about}</p>`}
          <h2>${title}</h2>
        </div>
        <button class="icon-only" aria-label="Close" title="Close (Esc)" onClick=${close}>
          <${Icon} name="close" />
        </button>
      </header>
      <div class="sheet-body">${children}</div>
    <//>
  `;
}

/**
 * Ask before something is done that cannot be undone.
 * @param {{ title: string, verb: string, close: () => void, act: (form: FormData) => Promise<void>,
 *     children?: unknown }} of
 */
export function Sure({ title, verb, close, act, children }) {
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await act(new FormData(event.target));
      close();
    } catch (error) {
      setProblem(error.message);
      setBusy(false);
    }
  };
  return html`
    <${Modal} kind="box" label=${title} close=${close}>
      <form onSubmit=${submit}>
        <h2>${title}</h2>
        ${children} ${problem && html`<p class="note bad" role="alert">${problem}</p>`}
        <div class="buttons">
          <button type="button" class="quiet" onClick=${close}>Leave it</button>
          <button class="danger" disabled=${isBusy}>${verb}</button>
        </div>
      </form>
    <//>
  `;
}

/** Why a connection is ended. */
export const Reason = () => html`
  <${Field} label="Reason" hint="The client is told, and it is kept in the audit.">
    <input name="reason" maxlength="100" autocomplete="off" />
  <//>
`;

/** Something that opens and closes: `[isOpen, open, close]`. */
export function useOpen() {
  const [isOpen, set] = useState(false);
  return [isOpen, () => set(true), () => set(false)];
}

/** Keys that do something wherever the page is, but not where somebody writes. */
export function useKeys(keys, after = []) {
  useEffect(() => {
    const press = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
      const act = keys[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, after);
}

// Lists of things, as a table where there is room and as cards where there is not.

import { html } from "../core/html.js";
import { More, Shown, Silent } from "./states.js";

/**
 * @typedef {{ title: string, cell: (row: any) => unknown, kind?: string, about?: string }} Column
 *     `kind`: number, code, wide or act, as the stylesheet knows them
 */

/** @param {{ caption: string, columns: Column[], rows: any[], keyOf: (row: any) => string, open?: (row: any) => void,
 *     mark?: (row: any) => string }} of `open`: what a click anywhere on a row does; `mark`: a class for it */
export function Table({ caption, columns, rows, keyOf, open, mark }) {
  const click = (row) => (event) => {
    if (!event.target.closest("a, button, input, label, select") && !String(getSelection())) open(row);
  };
  return html`
    <div class="table" role="region" aria-label=${caption} tabindex="0">
      <table>
        <caption class="unseen">
          ${caption}
        </caption>
        <thead>
          <tr>
            ${columns.map((one) => html`<th scope="col" class=${one.kind} title=${one.about}>${one.title}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            (row) => html`
              <tr
                key=${keyOf(row)}
                class=${`${open ? "opens" : ""} ${mark?.(row) ?? ""}`}
                onClick=${open && click(row)}
              >
                ${columns.map((one) => html`<td class=${one.kind} data-title=${one.title}>${one.cell(row)}</td>`)}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}

/**
 * A list with its pages; takes what `Table` does, too.
 * @param {{ pages: import("../core/load.js").Pages, empty: unknown }} of
 */
export function Listed({ pages, empty, ...table }) {
  return html`
    <${Silent} replicas=${pages.silent} />
    <${Shown} of=${pages} rows=${8}>
      ${() => html`
        ${pages.items.length > 0 && html`<${Table} ...${table} rows=${pages.items} />`}
        ${!pages.items.length && !pages.isMore && empty}
        <${More} pages=${pages} />
      `}
    <//>
  `;
}

// Lines over time. The canvas is for eyes; the legend's figures and a sentence say the same in words.

import uPlot from "../../vendor/uplot/uPlot.esm.js";
import { html, useEffect, useRef, useState } from "../core/html.js";
import { useCell } from "../core/cell.js";
import { brief, figure, moment } from "../core/format.js";
import { colour, theme } from "../core/theme.js";

const HEIGHT = 168;
const FONT = "11px system-ui, sans-serif";

/**
 * @typedef {{ label: string, key: string, ink: string, fill?: boolean }} Curve `ink`: a colour of the stylesheet
 */

/**
 * @param {{ title: string, unit: string, curves: Curve[], points: any[], about?: unknown }} of
 *     `points`: rising by `at`, in seconds since 1970; what is null is not drawn
 */
export function Chart({ title, unit, curves, points, about }) {
  const place = useRef(null);
  const chart = useRef(null);
  const [pointed, setPointed] = useState(null); // index under the pointer
  const shade = useCell(theme);

  useEffect(() => {
    const options = drawing(curves, (at) => setPointed(at), place.current.clientWidth);
    const mine = (chart.current = new uPlot(options, data(curves, points), place.current));
    const size = new ResizeObserver(([{ contentRect }]) => mine.setSize({ width: contentRect.width, height: HEIGHT }));
    size.observe(place.current);
    return () => {
      size.disconnect();
      mine.destroy();
    };
  }, [shade, curves]);

  useEffect(() => chart.current.setData(data(curves, points)), [points, curves]);

  const shown = points[pointed ?? -1] ?? points.findLast((point) => point[curves[0].key] !== null) ?? {};
  return html`
    <figure class="chart" aria-label=${title}>
      <figcaption>
        <h2>${title}${unit && html` <small>${unit}</small>`}</h2>
        <ul class="legend">
          ${curves.map(
            ({ label, key, ink }) =>
              html`<li key=${key}><i class=${`ink${ink}`}></i>${label} <b>${figure(shown[key])}</b></li>`,
          )}
        </ul>
        <p class="about">${pointed === null ? about : moment(shown.at * 1000)}</p>
      </figcaption>
      <div class="plot" ref=${place} aria-hidden="true"></div>
      <p class="unseen">${sentence(curves, points, unit)}</p>
    </figure>
  `;
}

/** The chart in words, for whoever does not see it. */
function sentence(curves, points, unit) {
  return curves
    .map(({ label, key }) => {
      const values = points.map((point) => point[key]).filter((value) => typeof value === "number");
      if (!values.length) return `${label}: nothing yet.`;
      const [least, most, last] = [Math.min(...values), Math.max(...values), values[values.length - 1]].map(figure);
      return `${label}: ${last} ${unit} now, between ${least} and ${most}.`;
    })
    .join(" ");
}

function data(curves, points) {
  return [points.map((point) => point.at), ...curves.map(({ key }) => points.map((point) => point[key] ?? null))];
}

function drawing(curves, point, width) {
  const [soft, line] = [colour("--soft"), colour("--line")];
  const axis = { stroke: soft, font: FONT, ticks: { show: false }, grid: { stroke: line, width: 1 } };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    padding: [8, 26, 0, 0],
    scales: { y: { range: (_chart, _least, most) => [0, Math.max(1, (most ?? 0) * 1.15)] } },
    axes: [
      { ...axis, grid: { show: false }, size: 26, space: 70, values: (_chart, at) => at.map((one) => clock(one)) },
      { ...axis, size: 44, space: 36, values: (_chart, of) => of.map((one) => brief(one)) },
    ],
    series: [
      {},
      ...curves.map(({ ink, fill }) => ({
        stroke: colour(`-${ink}`),
        width: 1.75,
        fill: fill ? faint(colour(`-${ink}`)) : undefined,
        points: { show: false },
        spanGaps: false,
      })),
    ],
    hooks: { setCursor: [(chart) => point(chart.cursor.left >= 0 ? chart.cursor.idx : null)] },
  };
}

const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");

const faint = (ink) => ink.replace(/^rgb\((.*)\)$/, "rgba($1, 0.12)");

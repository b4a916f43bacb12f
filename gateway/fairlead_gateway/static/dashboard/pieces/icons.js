// Small drawings beside words; words say it all without them.

import { html } from "../core/html.js";

const LINES = {
  overview: "M2 9h4l2-6 3 11 2-5h1",
  replicas: "M2 3h12v4H2zM2 9h12v4H2zM5 5h0M5 11h0",
  connections: "M6 10l4-4M5 7L3 9a2.8 2.8 0 0 0 4 4l2-2M7 5l2-2a2.8 2.8 0 0 1 4 4l-2 2",
  users: "M8 8a2.6 2.6 0 1 0 0-5.2 2.6 2.6 0 0 0 0 5.2M3 14c.5-3 2.5-4 5-4s4.5 1 5 4",
  sessions: "M2 3h9v6H6l-3 2.5V9H2zM11 6h3v5.5h-1V14l-2.5-2.5H7",
  instances: "M8 2l6 3-6 3-6-3zM2 8l6 3 6-3M2 11l6 3 6-3",
  live: "M8 8h0M5.5 10.5a3.5 3.5 0 0 1 0-5M10.5 5.5a3.5 3.5 0 0 1 0 5M3.3 12.7a6.6 6.6 0 0 1 0-9.4M12.7 3.3a6.6 6.6 0 0 1 0 9.4",
  tasks: "M2 4.5l1.2 1.2L5.5 3M8 4.5h6M2 11l1.2 1.2 2.3-2.7M8 11h6",
  questions: "M5.5 6a2.5 2.5 0 1 1 3.6 2.2C8.3 8.7 8 9 8 10M8 13h0",
  alerts: "M8 2c3 0 4 2 4 4.5 0 3 1.5 4 1.5 4h-11s1.5-1 1.5-4C4 4 5 2 8 2M6.5 13.5h3",
  history: "M2.5 5A6 6 0 1 1 2 8M2 2.5V5.5h3M8 5v3.5l2.5 1.5",
  playground: "M2 3h12v10H2zM4.5 6l2 2-2 2M8.5 10h3",
  configuration: "M2 4.5h7M13 4.5h1M11 3v3M2 11.5h1M7 11.5h7M5 10v3",
  docs: "M3 2h7l3 3v9H3zM10 2v3h3M5.5 8h5M5.5 11h5",
  menu: "M2 4h12M2 8h12M2 12h12",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5z",
  leave: "M6 2H3v12h3M10 5l3 3-3 3M13 8H6",
  refresh: "M13.5 5A6 6 0 1 0 14 8M14 2.5v3h-3",
};

/** @param {{ name: keyof typeof LINES }} of */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${LINES[name]} /></svg>`;
}

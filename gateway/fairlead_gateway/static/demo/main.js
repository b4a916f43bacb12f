// The demonstration: two people on two replicas side by side, or one of them where there is no room.

import { html, render, useEffect, useState } from "../dashboard/core/html.js";
import { Seat } from "./core/seat.js";
import { Choose } from "./views/choose.js";
import { Head } from "./views/head.js";
import { Road } from "./views/road.js";
import { Window } from "./views/window.js";

const PEOPLE = ["ada", "ben"];
const asked = new URLSearchParams(location.search);
const wide = matchMedia("(min-width: 64rem)");

/** @type {Map<string, Seat>} */
const seats = new Map();

/** The seat of somebody; begun once. */
function seat(user, index) {
  const isHere = asked.get("via") === "here";
  if (!seats.has(user)) {
    seats.set(user, new Seat({ user, index, isHere }));
    seats.get(user).start();
  }
  return seats.get(user);
}

/** Who sits where, as the address says: `?user=ada&replica=2`. */
function named() {
  const user = asked.get("user")?.trim();
  if (!user) return null;
  const replica = Number(asked.get("replica")) || PEOPLE.indexOf(user) + 1 || 1;
  return [seat(user, Math.max(0, replica - 1))];
}

function useWide() {
  const [isWide, set] = useState(wide.matches);
  useEffect(() => {
    const change = () => set(wide.matches);
    wide.addEventListener("change", change);
    return () => wide.removeEventListener("change", change);
  }, []);
  return isWide;
}

function Demo() {
  const isWide = useWide();
  const some = named() ?? (isWide || seats.size ? PEOPLE.map(seat) : null);
  if (!some) return html`<${Head} /><${Choose} people=${PEOPLE} />`;
  return html`
    <${Head} seats=${some} />
    <${Road} seats=${some} />
    <main class=${`windows of-${some.length}`}>
      ${some.map((one) => html`<${Window} key=${one.user} seat=${one} isAlone=${some.length === 1} />`)}
    </main>
  `;
}

const place = document.getElementById("app");
place.replaceChildren();
render(html`<${Demo} />`, place);

// What is round every screen: where one can go, whether the figures live, and who is here.

import { useCell } from "./core/cell.js";
import { html, useErrorBoundary, useLayoutEffect, useRef, useState } from "./core/html.js";
import { isStale, line, servedBy } from "./core/monitor.js";
import { rank, useMay } from "./core/rank.js";
import { go, place, to } from "./core/route.js";
import { session, signOut } from "./core/session.js";
import { switchTheme, theme } from "./core/theme.js";
import { Icon } from "./pieces/icons.js";
import { useKeys } from "./pieces/dialogs.js";
import { LineState } from "./pieces/line.js";
import { Head } from "./pieces/small.js";
import { Empty } from "./pieces/states.js";
import { firingNow } from "./screens/alerts.js";
import { GROUPS, SCREENS } from "./screens/all.js";
import { Shortcuts } from "./screens/shortcuts.js";

export function Shell() {
  const { screen, id, query } = useCell(place);
  const [isMenuOpen, setMenu] = useState(false);
  const [isHelpOpen, setHelp] = useState(false);
  const isOld = useCell(isStale);
  const shown = Object.hasOwn(SCREENS, screen) ? SCREENS[screen] : NOWHERE;
  const jumps = Object.fromEntries(Object.entries(SCREENS).map(([name, { key }]) => [key, () => go(to(name))]));

  const isFirst = useRef(true);

  // With the screen, not after it: whoever types on at once must not lose the field.
  useLayoutEffect(() => {
    setMenu(false);
    document.title = `${shown.title} · Fairlead`;
    if (!isFirst.current) arrive();
    isFirst.current = false;
  }, [screen]);
  useKeys({
    ...jumps,
    "?": () => setHelp(true),
    "/": search,
    t: switchTheme,
  });

  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to content</a>
    <div class=${`frame ${isMenuOpen ? "menu-open" : ""} ${isOld ? "stale-figures" : ""}`}>
      <header class="side">
        <a class="brand" href=${to("overview")}>
          <img src="static/dashboard/icon.svg" alt="" width="24" height="24" />Fairlead
        </a>
        <button
          class="icon-only menu"
          aria-expanded=${String(isMenuOpen)}
          aria-controls="menu"
          aria-label="Menu"
          onClick=${() => setMenu(!isMenuOpen)}
        >
          <${Icon} name=${isMenuOpen ? "close" : "menu"} />
        </button>
        <div id="menu">
          <${Navigation} screen=${screen} />
          <${Who} help=${() => setHelp(true)} />
        </div>
      </header>
      <div class="content">
        <${LineState} />
        <main id="main" tabindex="-1"><${Screen} key=${screen} of=${shown.part} id=${id} query=${query} /></main>
      </div>
    </div>
    ${isHelpOpen && html`<${Shortcuts} close=${() => setHelp(false)} />`}
  `;
}

const NOWHERE = { title: "No such screen", part: Nowhere };

/** What an address shows that names none of the screens. */
function Nowhere() {
  return html`
    <${Head} title="No such screen" />
    <${Empty} title="This address leads nowhere">
      The dashboard has no screen of that name. <a href=${to("overview")}>Go to the overview.</a>
    <//>
  `;
}

/** Begin a screen at its top, for eyes, keyboards and screen readers alike. */
function arrive() {
  scrollTo(0, 0);
  document.querySelector("h1")?.focus({ preventScroll: true });
}

function search() {
  /** @type {HTMLElement | null} */ (document.querySelector("main .search"))?.focus();
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

/** One screen; a fault in it leaves the others alone. */
function Screen({ of, id, query }) {
  const [error, again] = useErrorBoundary();
  if (!error) return html`<${of} id=${id} query=${query} />`;
  return html`
    <div class="state trouble" role="alert">
      <p class="state-title">This screen has a fault</p>
      <p>${String(error.message ?? error)}</p>
      <button class="quiet" onClick=${again}>Show it again</button>
    </div>
  `;
}

function Navigation({ screen }) {
  const firing = useCell(firingNow);
  const isAdmin = useMay("admin");
  const link = (name) => html`
    <li key=${name}>
      <a href=${to(name)} aria-current=${name === screen ? "page" : undefined}>
        <${Icon} name=${name} />${SCREENS[name].title}
        ${name === "alerts" && firing > 0 && html`<b class="count">${firing}<span class="unseen"> firing</span></b>`}
        ${name === "configuration" && !isAdmin && html`<small class="about">admins</small>`}
      </a>
    </li>
  `;
  return html`
    <nav aria-label="Screens">
      ${Object.entries(GROUPS).map(
        ([group, names]) =>
          html`<h2 key=${group}>${group}</h2>
            <ul>
              ${names.map(link)}
            </ul>`,
      )}
      <ul>
        <li>
          <a href="docs"><${Icon} name="docs" />HTTP interface</a>
        </li>
      </ul>
    </nav>
  `;
}

function Who({ help }) {
  const who = useCell(session);
  const shade = useCell(theme);
  const allowed = useCell(rank);
  const replica = useCell(servedBy);
  const { phase } = useCell(line);
  return html`
    <footer class="who">
      <p>
        <b><bdi>${who?.user}</bdi></b> ${who?.role && html`· <bdi>${who.role}</bdi>`}
        ${allowed !== "unknown" && allowed !== who?.role && html`· ${allowed}`}
      </p>
      ${replica && phase === "open" && html`<p class="about">by way of <bdi>${replica}</bdi></p>`}
      <div>
        <button
          class="icon-only"
          onClick=${switchTheme}
          title="Light or dark (t)"
          aria-label=${shade === "dark" ? "Use light colours" : "Use dark colours"}
        >
          <${Icon} name=${shade === "dark" ? "sun" : "moon"} />
        </button>
        <button class="icon-only" onClick=${help} title="Keys (?)" aria-label="Keyboard shortcuts">?</button>
        <button class="icon-only" onClick=${() => signOut()} title="Sign out" aria-label="Sign out">
          <${Icon} name="leave" />
        </button>
      </div>
    </footer>
  `;
}

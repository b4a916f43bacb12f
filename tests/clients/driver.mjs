// Drives one JavaScript client for the behaviour suite: commands in and facts out, a line of JSON each.
// Names are those of Python, times are seconds; what is in frames is never touched.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const IN_SECONDS = ["open_timeout", "reply_timeout", "backoff_min", "backoff_max", "heartbeat", "pong_timeout", "timeout"];
const [modulePath] = process.argv.slice(2);
const { Client } = await import(pathToFileURL(modulePath).href);

const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const renamed = (object, rename) => Object.fromEntries(Object.entries(object).map(rename));
const options = (given) =>
  renamed(given, ([name, value]) => (IN_SECONDS.includes(name) ? [`${camel(name)}Ms`, value * 1000] : [camel(name), value]));
const fact = (object) =>
  renamed(object, ([name, value]) => (name === "retryInMs" ? ["retry_in", value / 1000] : [snake(name), value]));
const fault = (error) => ({ code: error.code ?? "", message: String(error.message ?? error), detail: error.detail ?? {} });

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const happened = (event, what) => tell({ event, fact: what });

let client;
let asked = 0;
const awaited = new Map(); // what the scenario has yet to answer
const shown = new Map(); // questions, by their callback id

/** Ask the scenario, and wait for what it says. */
function ask(what, about) {
  return new Promise((resolve, reject) => {
    awaited.set((asked += 1), { resolve, reject });
    tell({ call: asked, what, about });
  });
}

function target(on) {
  const [kind, id] = on.split(/:(.*)/s);
  return on ? client[kind](id) : client;
}

const page = Object.assign(new EventTarget(), { visibilityState: "visible" });

const COMMANDS = {
  async make({ url, token, asks, given, codec }) {
    const msgpack = codec ? { msgpack: await import(pathToFileURL(codec).href) } : {};
    const source = asks ? (reason) => ask("token", reason) : token;
    client = new Client(url, { ...options(given), ...msgpack, ...(source === null ? {} : { token: source }) });
    client.onState((change) => happened("state", fact(change)));
    client.onRecovered((recovery) => happened("recovered", recovery));
    client.onError((error) => happened("error", fault(error)));
    client.onFrame((way, frame) => happened("frame", { way, frame }));
  },
  call: ({ on, name, args, given }) => {
    const rest = Object.keys(given).length ? [options(given)] : [];
    return target(on)[camel(name)](...args, ...rest);
  },
  get: ({ on, name }) => target(on)[camel(name)],
  hear({ on, type, fails, label }) {
    let left = fails;
    const handler = (message) => {
      happened("message", { label, message });
      if (left-- > 0) throw new Error(`${label} fails`);
    };
    target(on).on(type, handler);
  },
  watch: ({ on }) => void target(on).onChange((change) => happened("change", fact(change))),
  show_questions: () =>
    void client.onQuestion((question, signal) => {
      const id = question.callbackId;
      signal.addEventListener("abort", () => happened("taken_back", { callback_id: id, ...signal.reason }));
      happened("question", { ...fact(question), frame: null, remaining: question.remainingMs() / 1000 });
      return new Promise((resolve) => shown.set(id, resolve));
    }),
  answer: ({ id, value }) => shown.get(id)(value),
  // What a page has and Node has not, for a client that is made afterwards.
  page() {
    for (const [name, value] of [["addEventListener", page.addEventListener.bind(page)], ["document", page], ["navigator", { onLine: true }]])
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    for (const name of ["removeEventListener", "dispatchEvent"]) globalThis[name] = page[name].bind(page);
  },
  system({ event, online }) {
    globalThis.navigator.onLine = online;
    page.dispatchEvent(new Event(event));
  },
};

async function obey({ ask: ref, do: name, ...rest }) {
  try {
    const value = await COMMANDS[name](rest);
    tell({ ref, value: typeof value === "function" ? null : (value ?? null) });
  } catch (error) {
    tell({ ref, error: error.code ? fault(error) : { ...fault(error), trace: error.stack ?? "" } });
  }
}

for await (const text of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const line = JSON.parse(text);
  if (line.answer === undefined) {
    obey(line);
  } else {
    const { resolve, reject } = awaited.get(line.answer);
    awaited.delete(line.answer);
    if (line.error === undefined) resolve(line.value);
    else reject(new Error(line.error));
  }
}
process.exit(0);

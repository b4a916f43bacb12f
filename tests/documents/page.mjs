// Runs one block of JavaScript as if it stood in a page or in a script: `node page.mjs BLOCK.mjs ORIGIN TOKEN`.
// It ends with 0 when the block has shown something, and with 1 when nothing was shown in time or anything failed.

const [block, origin, token] = process.argv.slice(2);
const SECONDS = 15;

let shown = 0;
const note = (...said) => {
  shown += 1;
  process.stdout.write(`${JSON.stringify(said)}\n`);
};

const kept = new Map();
const button = {};
Object.assign(globalThis, {
  token,
  button,
  show: note,
  tell: (text) => process.stderr.write(`${text}\n`),
  reload: (channel) => process.stderr.write(`reload ${channel}\n`),
  ask: () => true,
  confirm: () => true,
  dialogFor: (message, choices) => {
    note(message, choices);
    return { answer: Promise.resolve("proceed"), close: () => {} };
  },
  document: { body: { append: note }, addEventListener: () => {}, visibilityState: "visible" },
  fetch: async () => new Response(token),
  location: new URL(origin),
  sessionStorage: { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) },
  addEventListener: globalThis.addEventListener ?? (() => {}),
});
console.log = note;

const module = await import(block);
module.useInstance?.("counter");
const deadline = Date.now() + 1000 * SECONDS;
while (shown === 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
if (button.onclick) await button.onclick();
process.exit(shown > 0 ? 0 : 1);

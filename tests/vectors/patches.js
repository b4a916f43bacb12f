// Patches in JavaScript, as fairlead/state/patches.py says what they are: shows that both can agree on every document.

const MAX_SEGMENTS = 32, MAX_PATHS = 1000, MAX_PADDING = 100;
const PATH = /^(?:[^.\\]|\\[.\\])+(?:\.(?:[^.\\]|\\[.\\])+)*$/s;
const FORBIDDEN = new Set(["__proto__", "constructor", "prototype"]);
const GONE = Symbol("gone");

class Put {
  constructor(value) { this.value = value; }
}

function segments(path) {
  if (typeof path !== "string" || !PATH.test(path)) throw new Error(`no path: ${path}`);
  const found = path.match(/(?:[^.\\]|\\[.\\])+/gs).map((segment) => segment.replace(/\\([.\\])/g, "$1"));
  if (found.length > MAX_SEGMENTS || found.some((segment) => FORBIDDEN.has(segment))) throw new Error(`no path: ${path}`);
  return found;
}

// The paths of a patch and of its unset as a tree of maps; throws for what is not as the grammar says.
function checked(patch, unset = []) {
  if (!isObject(patch) || !Array.isArray(unset)) throw new Error("no patch");
  const ends = [...Object.entries(patch).map(([path, value]) => [path, new Put(value)]), ...unset.map((path) => [path, GONE])];
  if (ends.length < 1 || ends.length > MAX_PATHS) throw new Error("too many paths, or none");
  const root = new Map();
  for (const [path, end] of ends) {
    const way = segments(path), last = way.pop();
    let tree = root;
    for (const segment of way) {
      if (!tree.has(segment)) tree.set(segment, new Map());
      tree = tree.get(segment);
      if (!(tree instanceof Map)) throw new Error(`two paths in one: ${path}`);
    }
    if (tree.has(last)) throw new Error(`two paths in one: ${path}`);
    tree.set(last, end);
  }
  return root;
}

// The document after a patch; changes it in place.
function apply(document, tree) {
  const root = isObject(document) ? document : {};
  grow(root, tree);
  return root;
}

function grow(container, tree) {
  for (const [segment, end] of tree) {
    if (end instanceof Put) {
      container[segment] = end.value;
    } else if (end === GONE) {
      take(container, segment);
    } else {
      let inner = at(container, segment);
      if (puts(end)) container[segment] = inner = makingWay(inner, end);
      if (typeof inner === "object" && inner !== null) grow(inner, end);
    }
  }
}

function makingWay(old, tree) {
  if (isObject(old)) return old;
  if (Array.isArray(old)) {
    const places = [...tree].filter(([, end]) => puts(end)).map(([segment]) => place(segment));
    if (places.every((one) => one >= 0 && one <= old.length + MAX_PADDING)) {
      const length = Math.max(...places) + 1;
      while (old.length < length) old.push(null);
      return old;
    }
  }
  return {};
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

const puts = (end) => (end instanceof Map ? [...end.values()].some(puts) : end instanceof Put);

const place = (segment) => (/^(?:0|[1-9][0-9]{0,8})$/.test(segment) ? Number(segment) : -1);

const has = (container, segment) =>
  Array.isArray(container) ? place(segment) >= 0 && place(segment) < container.length : Object.hasOwn(container, segment);

const at = (container, segment) => (has(container, segment) ? container[segment] : undefined);

function take(container, segment) {
  if (!has(container, segment)) return;
  if (Array.isArray(container)) container[segment] = null;
  else delete container[segment];
}

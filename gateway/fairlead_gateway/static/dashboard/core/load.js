// Facts from the HTTP interface, kept fresh while they are looked at.

import { Problem, ask } from "./api.js";
import { useCallback, useEffect, useRef, useState } from "./html.js";

/**
 * @typedef {{ data: any, problem: Problem | null, isLoading: boolean, reload: () => void }} Loaded
 *     `data` stays while it is loaded again: what is shown does not jump
 */

/**
 * What a path answers, asked again every so often while the page is seen.
 * @param {string} path empty for nothing
 * @param {{ query?: Record<string, unknown>, every?: number }} [more] `every` in ms
 * @returns {Loaded}
 */
export function useLoaded(path, { query = {}, every = 0 } = {}) {
  const asked = JSON.stringify([path, query]);
  const [state, setState] = useState({ asked: "", data: null, problem: null });
  const running = useRef(null);

  const reload = useCallback(async () => {
    if (!path) return;
    running.current?.abort();
    const mine = (running.current = new AbortController());
    try {
      const data = await ask("GET", path, { query, signal: mine.signal });
      setState({ asked, data, problem: null });
    } catch (problem) {
      if (!(problem instanceof Problem)) return;
      setState((before) => ({ asked, data: before.asked === asked ? before.data : null, problem }));
    } finally {
      if (running.current === mine) running.current = null;
    }
  }, [asked]);

  useEffect(() => {
    reload();
    // What takes longer than that is waited for, not begun again.
    const timer = every && setInterval(() => document.hidden || running.current || reload(), every);
    return () => {
      clearInterval(timer);
      running.current?.abort();
    };
  }, [asked, every]);

  const isMine = state.asked === asked;
  return { data: isMine ? state.data : null, problem: isMine ? state.problem : null, isLoading: !isMine, reload };
}

/**
 * @typedef {{ items: any[], silent: string[], isMore: boolean, more: () => void, refresh: () => void } & Loaded} Pages
 *     `reload`: from the first page on; `refresh`: the same, unless somebody has gone further
 */

/**
 * A list, page after page; only what fits on the first is kept fresh.
 * @param {string} path
 * @param {{ query?: Record<string, unknown>, every?: number, limit?: number }} [options]
 * @returns {Pages}
 */
export function usePages(path, { query = {}, every = 0, limit = 50 } = {}) {
  const [rest, setRest] = useState({ items: [], cursor: "", problem: null });
  const asked = JSON.stringify([path, query]);
  const first = useLoaded(path, { query: { ...query, limit }, every: rest.items.length ? 0 : every });
  useEffect(() => setRest({ items: [], cursor: "", problem: null }), [asked]);

  const cursor = rest.items.length ? rest.cursor : (first.data?.cursor ?? "");
  const more = async () => {
    try {
      const page = await ask("GET", path, { query: { ...query, limit, cursor } });
      setRest((before) => ({ items: [...before.items, ...page.items], cursor: page.cursor, problem: null }));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      setRest((before) => ({ ...before, problem }));
    }
  };
  const reload = () => {
    setRest({ items: [], cursor: "", problem: null });
    first.reload();
  };
  const length = useRef(0);
  length.current = rest.items.length;
  const refresh = () => length.current || first.reload();
  return {
    ...first,
    items: [...(first.data?.items ?? []), ...rest.items],
    silent: first.data?.silent ?? [],
    problem: first.problem ?? rest.problem,
    isMore: cursor !== "",
    more,
    refresh,
    reload,
  };
}

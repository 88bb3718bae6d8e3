import { computed, type Signal, signal } from "@preact/signals";
import { useLayoutEffect, useMemo } from "preact/hooks";
import { api, type Page, PrismError, type Query } from "./api.ts";
import { shownFrom } from "./offline.ts";
import { me } from "./session.ts";

/** State of a request on a page: data, perhaps older, beside the state of the latest request. */
export interface Loaded<T> {
  readonly data: T | undefined;
  readonly error: PrismError | undefined;
  readonly loading: boolean;
}

export interface QueryResult<T> extends Loaded<T> {
  /** Loads again; the shown data stays until the answer. */
  reload(): void;
  /** Replaces the data at once, for live entries and optimistic changes; again when an older answer arrives. */
  change(next: (data: T | undefined) => T | undefined): void;
}

interface Entry<T> {
  readonly state: Signal<Loaded<T>>;
  load: () => Promise<T>;
  /** Components that show it. */
  users: number;
  /** When its data arrived, by `performance.now()`. */
  loadedAt: number;
  /** The number of the latest request: answers of earlier ones are dropped. */
  turn: number;
  /** Whether another request follows the latest one. */
  isStale: boolean;
  /** Changes since the latest request began, which its answer may not include. */
  changes: ((data: T | undefined) => T | undefined)[];
}

const MAX_ENTRIES = 200;
/** A component that shows what another one has loaded so recently asks for nothing. */
const FRESH_MS = 5000;
const entries = new Map<string, Entry<unknown>>();
const userId = computed(() => me.value?.id);
// However a session ends, the next user of this page must not see its data.
userId.subscribe(() => entries.clear());

/**
 * Loads data and keeps it under a key, so that a page shows what it knew while it loads again.
 * @param key null: nothing is loaded yet
 */
export function useQuery<T>(key: string | null, load: () => Promise<T>): QueryResult<T> {
  const entry = useMemo(() => (key === null ? null : entryOf<T>(key, load)), [key]);
  if (entry) entry.load = load;
  // Not after the paint: a refresh before that would take the entry for one that no page shows.
  useLayoutEffect(() => (entry ? use(entry) : undefined), [entry]);
  const state = entry?.state.value ?? { data: undefined, error: undefined, loading: false };
  return {
    ...state,
    reload: () => entry && reload(entry),
    change: (next) => {
      if (!entry) return;
      const state = entry.state.peek();
      if (state.loading) entry.changes.push(next);
      entry.state.value = { ...state, data: next(state.data) };
    },
  };
}

/**
 * Loads it unless another user of it has: components that mount together, such as the rows of a
 * list, share one request. @returns ends the use
 */
function use<T>(entry: Entry<T>): () => void {
  const { data, error, loading } = entry.state.peek();
  const isFresh = data !== undefined && !error && performance.now() - entry.loadedAt < FRESH_MS;
  const isKnown = entry.users > 0 && (loading || isFresh);
  entry.users += 1;
  if (!isKnown) void run(entry);
  return () => {
    entry.users -= 1;
  };
}

/** {@link useGet} outside of components: calls `listener` with each state. @returns ends it */
export function watch<T>(path: string, query: Query, listener: (state: Loaded<T>) => void): () => void {
  const entry = entryOf<T>(keyOf(path, query), () => api.get<T>(path, query));
  const ends = [use(entry), entry.state.subscribe(listener)];
  return () => {
    for (const end of ends) end();
  };
}

function keyOf(path: string, query: Query): string {
  return `${path} ${JSON.stringify(query)}`;
}

/** {@link useQuery} for a GET request, by its path and parameters. */
export function useGet<T>(path: string | null, query: Query = {}): QueryResult<T> {
  const key = path === null ? null : keyOf(path, query);
  return useQuery<T>(key, () => api.get<T>(path ?? "", query));
}

/**
 * Loads again all shown queries with keys that start like this, such as `/rules`, after a change of the
 * user: answers that are under way are dropped.
 */
export function invalidate(...prefixes: readonly string[]): void {
  // What configuration files own may differ from them now.
  reloadAll([...prefixes, "/configuration/managed"], (entry) => void run(entry));
}

/** {@link invalidate} after changes of others: answers that are under way are shown. */
export function refresh(...prefixes: readonly string[]): void {
  reloadAll(prefixes, reload);
}

function reloadAll(prefixes: readonly string[], load: (entry: Entry<unknown>) => void): void {
  for (const [key, entry] of entries) {
    if (!prefixes.some((prefix) => key.startsWith(prefix))) continue;
    if (entry.users > 0) load(entry);
    else entries.delete(key);
  }
}

/** How often the server became reachable: a request that began before may have failed for that reason. */
let returns = 0;

/**
 * Loads again what could not be loaded, and what was shown from this browser's store. Call it when
 * the server can be reached again.
 */
export function retryFailed(): void {
  returns += 1;
  const isKept = shownFrom.peek() !== null;
  for (const entry of entries.values()) {
    const { error, loading } = entry.state.peek();
    if (entry.users > 0 && !loading && (isKept || error)) void run(entry);
  }
}

export interface ListResult<T> {
  /** Undefined until the first page arrives. */
  readonly items: readonly T[] | undefined;
  readonly error: PrismError | undefined;
  readonly loading: boolean;
  readonly hasMore: boolean;
  /** Loads the next page. */
  more(): void;
  /** Loads the first page again. */
  reload(): void;
  /** Replaces the shown items at once, for live entries and optimistic changes. */
  change(next: (items: readonly T[]) => readonly T[]): void;
}

interface List<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
  /** How many pages `items` are. */
  readonly pages: number;
}

const EMPTY = { items: [], nextCursor: null, pages: 1 } as const;

/** A list with "load more". Its first page is loaded again when path or parameters change. */
export function useList<T>(path: string | null, query: Query = {}): ListResult<T> {
  const key = path === null ? null : `${path} list ${JSON.stringify(query)}`;
  const fetchPage = async (cursor?: string): Promise<List<T>> => {
    const page = await api.get<Page<T>>(path ?? "", cursor === undefined ? query : { ...query, cursor });
    // A list of one page has no cursor.
    return { items: page.data, nextCursor: page.nextCursor ?? null, pages: 1 };
  };
  const extended = async (list: List<T>, cursor: string): Promise<List<T>> => {
    const { items, nextCursor } = await fetchPage(cursor);
    return { items: [...list.items, ...items], nextCursor, pages: list.pages + 1 };
  };
  /** As many pages as are shown, so that a live change does not shorten an extended list. */
  const load = async (further = 0): Promise<List<T>> => {
    const shown = key === null ? undefined : (entries.get(key) as Entry<List<T>> | undefined)?.state.peek().data;
    let list = await fetchPage();
    const pages = (shown?.pages ?? 1) + further;
    while (list.nextCursor !== null && list.pages < pages) list = await extended(list, list.nextCursor);
    return list;
  };
  const first = useQuery<List<T>>(key, () => load());
  return {
    items: first.data?.items,
    error: first.error,
    loading: first.loading,
    hasMore: first.data ? first.data.nextCursor !== null : false,
    reload: first.reload,
    more() {
      const entry = key === null ? undefined : (entries.get(key) as Entry<List<T>> | undefined);
      const cursor = first.data?.nextCursor;
      if (!entry || !cursor) return;
      // The answer under way is dropped: its rows are read again, with the next page.
      void run(entry, () => (first.loading ? load(1) : extended(entry.state.peek().data ?? EMPTY, cursor)));
    },
    change: (next) => first.change((list = EMPTY) => ({ ...list, items: next(list.items) })),
  };
}

function entryOf<T>(key: string, load: () => Promise<T>): Entry<T> {
  const known = entries.get(key) as Entry<T> | undefined;
  if (known) return known;
  for (const [old, entry] of entries) {
    if (entries.size < MAX_ENTRIES) break;
    if (entry.users === 0) entries.delete(old);
  }
  const entry: Entry<T> = {
    state: signal<Loaded<T>>({ data: undefined, error: undefined, loading: true }),
    load,
    users: 0,
    loadedAt: 0,
    turn: 0,
    isStale: false,
    changes: [],
  };
  entries.set(key, entry as Entry<unknown>);
  return entry;
}

/** Frequent changes must not drop each answer before it is shown: the next request follows it. */
function reload<T>(entry: Entry<T>): void {
  const isRunning = entry.turn > 0 && entry.state.peek().loading;
  if (isRunning) entry.isStale = true;
  else void run(entry);
}

async function run<T>(entry: Entry<T>, load: () => Promise<T> = () => entry.load()): Promise<void> {
  entry.turn += 1;
  entry.isStale = false;
  const { turn } = entry;
  const began = returns;
  entry.changes = [];
  entry.state.value = { ...entry.state.peek(), loading: true };
  try {
    const data = await load();
    if (turn !== entry.turn) return;
    const changed = entry.changes.reduce<T | undefined>((known, next) => next(known), data);
    entry.loadedAt = performance.now();
    entry.state.value = { data: changed, error: undefined, loading: false };
    if (entry.isStale && entry.users > 0) void run(entry);
  } catch (cause) {
    if (turn !== entry.turn) return;
    const error = cause instanceof PrismError ? cause : new PrismError("INTERNAL", String(cause), { cause });
    if (began !== returns && entry.users > 0) return run(entry, load);
    entry.state.value = { ...entry.state.peek(), error, loading: false };
    if (entry.isStale && entry.users > 0) void run(entry);
  }
}

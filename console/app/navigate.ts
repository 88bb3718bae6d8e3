import { useLayoutEffect, useState } from "preact/hooks";
import { useLocation } from "preact-iso/router";
import { useLatest } from "../ui/index.ts";
import { href, pagePath } from "./base.ts";

type Route = (url: string, replace?: boolean) => void;

let route: Route = (url) => location.assign(url);

/** Gives the router to {@link navigate}. The shell calls it once. */
export function useNavigation(): void {
  route = useLocation().route;
}

/** Asks whether a page with unsaved work may be left; null: it may. */
let guard: (() => Promise<boolean>) | null = null;

/** `choose`, but asks first while the page has unsaved work, which the choice would replace. */
export function useReplacing(choose: (value: string) => void): (value: string) => void {
  const [, redraw] = useState(0);
  return async (value) => {
    if (guard === null || (await guard())) choose(value);
    // The field shows the value that was not taken.
    else redraw((count) => count + 1);
  };
}

/** Opens a page. @param path below the console, such as `/rules/1` */
export function navigate(path: string, options: { readonly replace?: boolean } = {}): void {
  void leaveFor(href(path), options.replace);
}

async function leaveFor(url: string, replace?: boolean): Promise<void> {
  const isElsewhere = new URL(url, location.href).pathname !== location.pathname;
  if (isElsewhere && guard !== null) {
    if (!(await guard())) return;
    guard = null;
  }
  route(url, replace);
}

/**
 * Asks before links, keys and the closing of the tab leave a page with unsaved work. The back
 * button cannot be intercepted: keep the work, too.
 * @param ask null while nothing is unsaved
 */
export function useLeaveGuard(ask: (() => Promise<boolean>) | null): void {
  const latest = useLatest(ask);
  const isNeeded = ask !== null;
  // Before the next click: after the paint, it would leave without the question.
  useLayoutEffect(() => {
    if (!isNeeded) return;
    const own = async () => latest.current === null || latest.current();
    const onClick = (event: MouseEvent) => {
      const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("a[href]") : null;
      const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
      if (!link || !isPlain || link.target !== "" || link.hasAttribute("download")) return;
      if (link.origin !== location.origin || link.pathname === location.pathname) return;
      event.preventDefault();
      event.stopPropagation();
      void leaveFor(link.pathname + link.search + link.hash);
    };
    const onUnload = (event: BeforeUnloadEvent) => event.preventDefault();
    guard = own;
    // Before the router sees the click.
    document.addEventListener("click", onClick, true);
    addEventListener("beforeunload", onUnload);
    return () => {
      if (guard === own) guard = null;
      document.removeEventListener("click", onClick, true);
      removeEventListener("beforeunload", onUnload);
    };
  }, [isNeeded]);
}

/** The path of the current page below the console, without parameters. */
export function usePath(): string {
  return pagePath(useLocation().path);
}

/**
 * A value in the address of the page, so that filters are part of the link.
 * @returns the value, `fallback` when absent, and a function that replaces it
 */
export function useQueryState(name: string, fallback = ""): [string, (value: string) => void] {
  const { query } = useLocation();
  return [query[name] ?? fallback, (value) => setParameters({ [name]: value }, { [name]: fallback })];
}

type Parameters = Readonly<Record<string, string | undefined>>;

/** Replaces parameters of the address. @param absent the values with which one is left out */
export function setParameters(changes: Parameters, absent: Parameters): void {
  const url = new URL(location.href);
  for (const [name, value = ""] of Object.entries(changes)) {
    if (value === absent[name]) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  route(url.pathname + url.search, true);
}

import { useLocation } from "preact-iso/router";
import { href, pagePath } from "./base.ts";

type Route = (url: string, replace?: boolean) => void;

let route: Route = (url) => location.assign(url);

/** Gives the router to {@link navigate}. The shell calls it once. */
export function useNavigation(): void {
  route = useLocation().route;
}

/** Opens a page. @param path below the console, such as `/rules/1` */
export function navigate(path: string, options: { readonly replace?: boolean } = {}): void {
  route(href(path), options.replace);
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
  const set = (value: string) => {
    const url = new URL(location.href);
    if (value === fallback) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
    route(url.pathname + url.search, true);
  };
  return [query[name] ?? fallback, set];
}

/**
 * The files of the console are in `<root>/dashboard/assets/`, wherever a proxy has mounted the
 * server, so the address of this module tells both roots.
 */
const ASSETS = new URL(".", import.meta.url);

/** The root of the console, such as `/dashboard/`. */
export const CONSOLE_ROOT = new URL("..", ASSETS).pathname;

/** The root of the server without a trailing slash, such as `https://prism.example`. */
export const SERVER_URL = new URL("../..", ASSETS).href.replace(/\/$/, "");

/** Whether only this machine reaches a host, as settings or URLs have it. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127\.[\d.]+|::1|\[::1\])$/.test(host);
}

/** The URL path of a page. @param path below the console, such as `/rules/1?tab=versions` */
export function href(path: string): string {
  return CONSOLE_ROOT + path.replace(/^\//, "");
}

/** The path of a page below the console, for a URL path of the browser. */
export function pagePath(urlPath: string): string {
  return urlPath.startsWith(CONSOLE_ROOT) ? `/${urlPath.slice(CONSOLE_ROOT.length)}` : "/";
}

/** A path of the console from a link that others may have written: `/..` leads to its start page. */
export function ownPath(path: string): string {
  const { pathname, search, hash } = new URL(href(path), location.href);
  return pagePath(pathname) + search + hash;
}

import { PrismError } from "../../../core/errors.ts";
import { Reply, type RouteAnswer } from "../../../http/api/route.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import { ConsoleFiles } from "./files.ts";

const ROOT = "/dashboard";
/** Paths of pages have at most this many parts. */
const MAX_DEPTH = 4;
/** Pages that links in mails of earlier versions open. Browsers keep the fragment, a link's token. */
const MAIL_PAGES = ["reset-password", "invite", "verify-email", "project-invitation", "unsubscribe"];
const COMMON = { method: "GET", tag: "Operations", access: "public", undocumented: true, quiet: true } as const;

/** The web application in console/, at /dashboard/; `GET /` leads to it. */
export const consoleFeature = feature("console", {
  needs: [],
  register(server, { config: { dashboardPort } }) {
    const files = new ConsoleFiles();
    // Relative, for servers behind a prefix of a proxy.
    serveRedirect(server, "/", ({ port }) => (port === String(dashboardPort) ? "dashboard/jobs" : "dashboard/"));
    serveRedirect(server, ROOT, "dashboard/");
    for (const page of MAIL_PAGES) serveRedirect(server, `/account/${page}`, `../dashboard/${page}`);
    serveAssets(server, files);
    servePages(server, files);
  },
});

/** @param target relative; may depend on the port in the request's Host */
function serveRedirect(
  server: FeatureServer,
  path: string,
  target: string | ((host: { readonly port: string | undefined }) => string),
): void {
  server.route({
    ...COMMON,
    path,
    summary: "Redirect to the console",
    handle(exchange) {
      const { queryText } = exchange;
      const port = /:(\d{1,5})$/.exec(exchange.header("host"))?.[1];
      const to = typeof target === "string" ? target : target({ port });
      const location = queryText === "" ? to : `${to}?${queryText}`;
      return new Reply(302, undefined, { Location: location, "Cache-Control": "no-cache" });
    },
  });
}

function serveAssets(server: FeatureServer, files: ConsoleFiles): void {
  server.route({
    ...COMMON,
    path: `${ROOT}/assets/:name`,
    summary: "A script or style sheet of the console",
    // A page load takes a dozen.
    unlimited: true,
    errors: ["NOT_FOUND"],
    response: { contentType: "text/javascript", description: "A file of the console" },
    handle(exchange) {
      const name = `assets/${exchange.params["name"]}`;
      if (!files.has(name)) throw new PrismError("NOT_FOUND", "No such file");
      return files.file(name)(exchange);
    },
  });
}

/** Every page is the same document: the application reads the path. */
function servePages(server: FeatureServer, files: ConsoleFiles): void {
  servePage(server, `${ROOT}/`, (exchange) => files.page(0)(exchange));
  let path = ROOT;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    path += `/:part${depth}`;
    servePage(server, path, (exchange) => {
      const name = exchange.params["part0"] ?? "";
      const handle = depth === 0 && files.has(name) ? files.file(name) : files.page(depth);
      return handle(exchange);
    });
  }
}

function servePage(
  server: FeatureServer,
  path: string,
  handle: (exchange: Exchange) => Promise<RouteAnswer<undefined>>,
): void {
  server.route({
    ...COMMON,
    path,
    summary: "A page of the console",
    response: { contentType: "text/html", description: "The console" },
    handle,
  });
}

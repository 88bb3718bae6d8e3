import {
  type BadRequest,
  bytesOf,
  INVALID,
  JSON_TYPE,
  type Outcome,
  RequestMaker,
  type Target,
} from "./bad-request.ts";

const LIBRARY = (status: number): Outcome => ({ status });
const NOWHERE: Outcome = { status: 404, code: "NOT_FOUND" };
const UNAUTHENTICATED: Outcome = { status: 401, code: "UNAUTHENTICATED" };
const BAD_TOKEN: Outcome = { status: 401, code: "TOKEN_INVALID" };
const BAD_KEY: Outcome = { status: 401, code: "INVALID_API_KEY" };
const AMBIGUOUS: Outcome = { status: 400, code: "AMBIGUOUS_CREDENTIALS" };
const UPGRADE = ["Connection: Upgrade", "Upgrade: websocket"];
const KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION = "Sec-WebSocket-Version: 13";

/**
 * Two readings of where a request ends, which is how one is smuggled past a proxy: never is the
 * second one served.
 */
function smuggling(make: RequestMaker): BadRequest[] {
  const second = "POST /api/v1/projects HTTP/1.1\r\nHost: localhost\r\n";
  const framed = (name: string, lines: readonly string[], body: string, outcome: Outcome) =>
    make.raw(name, bytesOf("POST", "/api/v1/events", [make.credential, JSON_TYPE, ...lines], body), outcome);
  return [
    framed(
      "Content-Length and chunks",
      ["Content-Length: 2", "Transfer-Encoding: chunked"],
      `0\r\n\r\n${second}`,
      LIBRARY(400),
    ),
    framed(
      "chunks and Content-Length",
      ["Transfer-Encoding: chunked", "Content-Length: 2"],
      `0\r\n\r\n${second}`,
      LIBRARY(400),
    ),
    framed("two lengths, equal", ["Content-Length: 0", "Content-Length: 0"], second, INVALID),
    framed("two lengths, different", ["Content-Length: 0", "Content-Length: 44"], second, INVALID),
    framed("a list of lengths", ["Content-Length: 2, 2"], "{}", LIBRARY(400)),
    framed("a length with a sign", ["Content-Length: +2"], "{}", LIBRARY(400)),
    framed("a negative length", ["Content-Length: -2"], "{}", LIBRARY(400)),
    framed("a hexadecimal length", ["Content-Length: 0x2"], "{}", LIBRARY(400)),
    framed("a length beyond any", [`Content-Length: ${"9".repeat(30)}`], "{}", LIBRARY(400)),
    framed("a length that is empty", ["Content-Length:"], second, INVALID),
    framed("another coding", ["Transfer-Encoding: gzip"], `0\r\n\r\n${second}`, INVALID),
    framed("a coding that looks like chunked", ["Transfer-Encoding: xchunked"], `0\r\n\r\n${second}`, INVALID),
    framed("two codings", ["Transfer-Encoding: gzip, chunked"], `0\r\n\r\n${second}`, INVALID),
    framed(
      "chunked twice",
      ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
      `0\r\n\r\n${second}`,
      INVALID,
    ),
    framed("a coding that is empty", ["Transfer-Encoding:"], second, INVALID),
    framed("a chunk size that is none", ["Transfer-Encoding: chunked"], `zz\r\n{}\r\n0\r\n\r\n${second}`, LIBRARY(400)),
    framed("two hosts", ["Host: elsewhere", "Content-Length: 0"], "", LIBRARY(400)),
  ];
}

function lines(make: RequestMaker): BadRequest[] {
  const raw = (name: string, text: string, status: number) => make.raw(name, text, LIBRARY(status));
  const silent = (name: string, text: string) => make.raw(name, text, { status: null, isSlow: true });
  const ping = (...fields: readonly string[]) => bytesOf("GET", "/health", fields).toString("latin1");
  return [
    raw("HTTP/1.0", "GET /health HTTP/1.0\r\nHost: x\r\n\r\n", 426),
    raw("HTTP/2.0", "GET /health HTTP/2.0\r\nHost: x\r\n\r\n", 426),
    raw("the start of TLS", Buffer.from("160301020001000001fc0303", "hex").toString("latin1"), 426),
    raw("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 426),
    raw("words", "hello world\r\n\r\n", 426),
    raw("bare line feeds", "GET /health HTTP/1.1\nHost: x\n\n", 426),
    raw("an absolute target", "GET http://localhost/health HTTP/1.1\r\nHost: x\r\n\r\n", 426),
    raw("an authority target", "CONNECT localhost:443 HTTP/1.1\r\nHost: x\r\n\r\n", 426),
    raw("a target without a slash", "GET health HTTP/1.1\r\nHost: x\r\n\r\n", 426),
    raw("a NUL in the target", "GET /he\0alth HTTP/1.1\r\nHost: x\r\n\r\n", 426),
    raw("no host", "GET /health HTTP/1.1\r\nX-A: a\r\n\r\n", 400),
    raw("a field without a colon", ping("nonsense"), 400),
    raw("a space before the colon", ping("X-A : a"), 400),
    raw("a folded field", ping("X-A: a\r\n b"), 400),
    raw("a NUL in a value", ping("X-A: a\0b"), 400),
    raw("200 fields", ping(...Array.from({ length: 200 }, (_, n) => `X-${n}: a`)), 431),
    silent("no version", "GET /health\r\nHost: x\r\n\r\n"),
    silent("half a head", "GET /health HTTP/1.1\r\nHost: x\r\n"),
    make.raw(
      "a body that stops",
      bytesOf("POST", "/api/v1/events", [make.credential, JSON_TYPE, "Content-Length: 50"], '{"type":'),
      {
        status: 408,
        code: "REQUEST_TIMEOUT",
        isSlow: true,
      },
    ),
    make.plain("a URL of 9 KiB", "GET", `/${"a".repeat(9000)}`, { status: 414, code: "URI_TOO_LONG" }),
    make.plain("a query of 9 KiB", "GET", `/health?${"a".repeat(9000)}`, { status: 414, code: "URI_TOO_LONG" }),
    make.plain("fields of 17 KiB", "GET", "/health", { status: 431, code: "HEADERS_TOO_LARGE" }, [
      `X-A: ${"a".repeat(17_000)}`,
    ]),
  ];
}

function paths(make: RequestMaker): BadRequest[] {
  return [
    "/nothing",
    "/api/v1",
    "/api/v2/events",
    "/api/v1/events/",
    "//api/v1/events",
    "/api//v1/events",
    "/API/v1/events",
    "/api/v1/Events",
    "/api/v1/%65vents",
    "/api/v1/./events",
    "/api/v1/x/../events",
    "/api/v1/events;a=b",
    "/api/v1/events%00",
    "/api/v1/rules/%ff",
    "/api/v1/rules/%c3%28",
    "/api/v1/rules/%zz",
    "/api/v1/rules/%",
    "/docs/../prism.db",
    "/docs/%2e%2e/data/prism.db",
    "/docs/..%2f..%2fetc%2fpasswd",
    "/docs/swagger-ui.css.map",
    "/.env",
    "/ws/nothing",
  ].map((path) => make.plain(`GET ${path}`, "GET", path, NOWHERE));
}

function credentials(make: RequestMaker): BadRequest[] {
  const { token, apiKey } = make.target;
  const [head = "", claims = "", signature = ""] = token.split(".");
  const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url");
  const at = (name: string, fields: readonly string[], outcome: Outcome, path = "/api/v1/events"): BadRequest => ({
    name,
    bytes: bytesOf("GET", path, fields),
    ...outcome,
  });
  const bearer = (text: string) => [`Authorization: Bearer ${text}`];
  return [
    at("no credential", [], UNAUTHENTICATED),
    at("a scheme alone", ["Authorization: Bearer"], UNAUTHENTICATED),
    at("Basic", ["Authorization: Basic ZGV2OmRldg=="], UNAUTHENTICATED),
    at("a cookie", [`Cookie: prism_refresh=${token}`], UNAUTHENTICATED),
    at("a token in a query", [], UNAUTHENTICATED, `/api/v1/events?token=${token}`),
    at("a word as token", bearer("nonsense"), BAD_TOKEN),
    at("a token cut short", bearer(token.slice(0, -5)), BAD_TOKEN),
    at("a token without signature", bearer(`${head}.${claims}.`), BAD_TOKEN),
    at("a token of alg none", bearer(`${none}.${claims}.`), BAD_TOKEN),
    at("a token of alg none, signed", bearer(`${none}.${claims}.${signature}`), BAD_TOKEN),
    at("a token with other claims", bearer(`${head}.${claims.slice(0, -2)}AA.${signature}`), BAD_TOKEN),
    at("a token of 9 KiB", bearer("a".repeat(9000)), BAD_TOKEN),
    at("a service token that is none", bearer(`prt_${"a".repeat(51)}`), BAD_TOKEN),
    at("a key cut short", [`X-API-Key: ${apiKey.slice(0, -1)}`], BAD_KEY),
    at("a key in capitals", [`X-API-Key: ${apiKey.toUpperCase()}`], BAD_KEY),
    at("a key that is SQL", ["X-API-Key: ' or 1=1 --"], BAD_KEY),
    at("a key that is none", bearer(`prk_${"a".repeat(51)}`), BAD_KEY),
    at("a token as a key", [`X-API-Key: ${token}`], BAD_KEY),
    at("two tokens", [...bearer(token), ...bearer(token)], AMBIGUOUS),
    at("two keys", [`X-API-Key: ${apiKey}`, `X-API-Key: ${apiKey}`], AMBIGUOUS),
    at("a token and a key", [...bearer(token), `X-API-Key: ${apiKey}`], AMBIGUOUS),
    at(
      "a token in the query and another in a header",
      bearer(token),
      AMBIGUOUS,
      `/realtime/default/sse?token=${token}`,
    ),
    at("a key where only people may", [`X-API-Key: ${apiKey}`], { status: 403, code: "FORBIDDEN" }, "/api/v1/rules"),
    at(
      "a key of another project",
      [`X-API-Key: ${apiKey}`],
      { status: 404, code: "PROJECT_NOT_FOUND" },
      "/api/v1/events?projectId=default",
    ),
  ];
}

function upgrades(make: RequestMaker): BadRequest[] {
  const at = (name: string, path: string, fields: readonly string[], outcome: Outcome) =>
    make.plain(name, "GET", path, outcome, fields);
  const whole = [...UPGRADE, KEY, VERSION];
  const required: Outcome = { status: 426, code: "UPGRADE_REQUIRED" };
  return [
    at("a plain request to a socket", "/ws", [], required),
    at("a plain request to a project's socket", `/realtime/${make.target.project}`, [], required),
    at("an upgrade without a key", "/ws", [...UPGRADE, VERSION], required),
    at("an upgrade with a short key", "/ws", [...UPGRADE, VERSION, "Sec-WebSocket-Key: x"], required),
    at("an upgrade of version 8", "/ws", [...UPGRADE, KEY, "Sec-WebSocket-Version: 8"], required),
    at("an upgrade without a version", "/ws", [...UPGRADE, KEY], required),
    at("an upgrade from elsewhere", "/ws", [...whole, "Origin: https://evil.example"], {
      status: 403,
      code: "ORIGIN_REFUSED",
    }),
    at("an upgrade from nowhere", "/ws", [...whole, "Origin: null"], { status: 403, code: "ORIGIN_REFUSED" }),
    at("an upgrade with a bad token", "/ws", [...whole, "Authorization: Bearer x"], BAD_TOKEN),
    at("an upgrade with a bad token in the query", "/ws?token=x", whole, AMBIGUOUS),
    at("an upgrade to no project", "/realtime/none", whole, { status: 404, code: "PROJECT_NOT_FOUND" }),
    at("an upgrade from no offset", "/realtime/default?from=first", whole, INVALID),
    at("an upgrade from a negative offset", "/realtime/default?from=-1", whole, INVALID),
    at("an upgrade of another path", "/api/v1/events", [...UPGRADE, KEY, "Authorization: Bearer x"], BAD_TOKEN),
    { name: "an upgrade without credentials", bytes: bytesOf("GET", "/ws", whole), ...UNAUTHENTICATED },
    { name: "an upgrade by POST", bytes: bytesOf("POST", "/ws", whole), status: 405, code: "METHOD_NOT_ALLOWED" },
  ];
}

/** Requests whose head is at fault. */
export function badHeads(target: Target): BadRequest[] {
  const make = new RequestMaker(target);
  return [...smuggling(make), ...lines(make), ...paths(make), ...credentials(make), ...upgrades(make)];
}

import { joined, membersOf, type YamlEntry, type YamlObject } from "./yaml-file.ts";

/* `http_config` of a receiver: the parts that a channel of the preset `http` can have. */

/** Fields of the preset `http`. */
type HttpFields = Readonly<Record<string, string>>;

/** Settings of connections that change nothing for the service, or that Prism always has. */
const WITHOUT_EFFECT = ["follow_redirects", "enable_http2"];
const PROXY = ["proxy_url", "proxy_from_environment", "proxy_connect_header", "no_proxy"];
/** Settings of all receivers. */
const GLOBAL = "global.http_config";
const KNOWN = [
  ...["basic_auth", "authorization", "bearer_token", "bearer_token_file", "http_headers", "tls_config", "oauth2"],
  ...PROXY,
  ...WITHOUT_EFFECT,
];

/** The fields of `http_config`, or of the global one. Members that Prism cannot honour are left with a reason. */
export function httpFieldsOf(entry: YamlEntry): HttpFields {
  const http = configOf(entry);
  const { value: config, path } = http;
  noteProxy(http);
  if (isSet(config["oauth2"]))
    entry.findings.leave(
      joined(path, "oauth2"),
      "OAuth 2.0 is not supported: use authorization, basic_auth or http_headers",
    );
  const fields = { ...authOf(http), ...tlsOf(http) };
  const lines = [...headersOf(http), ...("type" in fields ? [`Authorization: ${fields["type"]}`] : [])];
  const { type: _, ...rest } = fields;
  return { ...rest, ...(lines.length > 0 ? { headers: lines.join("\n") } : {}) };
}

/** Whether nothing of `http_config` matters. Otherwise each member is left: the channel's service is fixed. */
export function requirePlainHttp(entry: YamlEntry, except: readonly string[] = []): void {
  const http = configOf(entry);
  noteProxy(http);
  for (const [name, value] of Object.entries(http.value)) {
    const isKnown = [...WITHOUT_EFFECT, ...PROXY, ...except].includes(name);
    if (isKnown || !isSet(value) || value === false) continue;
    // What all receivers have must not cost all of them: said once, see `distinct`.
    if (http.path === GLOBAL)
      entry.findings.change(joined(GLOBAL, name), "channels to services with a fixed address are made without it");
    else entry.findings.leave(joined(http.path, name), `a channel to ${entry.shown} has no such setting: remove it`);
  }
}

/** One proxy serves all calls. */
function noteProxy({ value, path, findings }: YamlEntry): void {
  for (const name of PROXY)
    if (isSet(value[name]) && value[name] !== false)
      findings.change(
        joined(path, name),
        "is left out: all calls go by proxy.url of the server, or directly without it",
      );
}

/** The bearer token of `authorization`; undefined without. */
export function bearerOf(entry: YamlEntry): string | undefined {
  const { token } = authOf(configOf(entry));
  return token;
}

/** User name and password of `basic_auth`. */
export function basicOf(entry: YamlEntry): Readonly<Partial<Record<"username" | "password", string>>> {
  return authOf(configOf(entry));
}

function configOf(entry: YamlEntry): YamlEntry {
  const own = entry.value["http_config"];
  const isOwn = isSet(own);
  const value = isOwn ? own : entry.globals["http_config"];
  const path = isOwn ? joined(entry.path, "http_config") : GLOBAL;
  if (isOwn) return entry.part(membersOf(value, path, KNOWN, entry.findings), path);
  const all = membersOf(value, path, [...KNOWN, ...Object.keys((value ?? {}) as YamlObject)], entry.findings);
  for (const name of Object.keys(all).filter((each) => !KNOWN.includes(each)))
    entry.findings.change(joined(GLOBAL, name), "is not known to this import: channels are made without it");
  return entry.part(Object.fromEntries(Object.entries(all).filter(([name]) => KNOWN.includes(name))), path);
}

function authOf(http: YamlEntry): HttpFields {
  const basic = partOf(http, "basic_auth", ["username", "username_file", "password", "password_file"]);
  const authorization = partOf(http, "authorization", ["type", "credentials", "credentials_file"]);
  const token = authorization.secret("credentials") ?? http.secret("bearer_token");
  const type = authorization.text("type") ?? "Bearer";
  const username = basic.secret("username");
  const password = basic.secret("password");
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(token === undefined ? {} : type.toLowerCase() === "bearer" ? { token } : { type: `${type} ${token}` }),
  };
}

function headersOf(http: YamlEntry): string[] {
  const headers = Object.entries((http.value["http_headers"] ?? {}) as YamlObject);
  return headers.map(([name, value]) => {
    const path = `${http.path}.http_headers.${name}`;
    const part = http.part(membersOf(value, path, ["values", "secrets", "files"], http.findings), path);
    return `${name}: ${[...part.texts("values"), ...part.texts("secrets"), ...part.files("files")].join(", ")}`;
  });
}

function tlsOf(http: YamlEntry): HttpFields {
  const tls = partOf(http, "tls_config", [
    ...["ca", "ca_file", "cert", "cert_file", "key", "key_file", "server_name", "insecure_skip_verify"],
    ...["min_version", "max_version"],
  ]);
  for (const name of ["min_version", "max_version"])
    if (isSet(tls.value[name])) tls.findings.change(joined(tls.path, name), "TLS versions are those of Node");
  const serverName = tls.text("server_name");
  const texts = { ca: tls.secret("ca"), cert: tls.secret("cert"), key: tls.secret("key"), serverName };
  const given = Object.entries(texts).filter((each): each is [string, string] => each[1] !== undefined);
  return { ...Object.fromEntries(given), ...(tls.value["insecure_skip_verify"] === true ? { verify: "off" } : {}) };
}

function partOf(http: YamlEntry, name: string, known: readonly string[]): YamlEntry {
  const path = joined(http.path, name);
  return http.part(membersOf(http.value[name], path, known, http.findings), path);
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

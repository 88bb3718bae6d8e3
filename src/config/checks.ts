import { statSync } from "node:fs";
import { hostname } from "node:os";
import { decodeKey32 } from "./kinds.ts";
import { environmentName, flattenOptions } from "./option.ts";
import { type ConfigValues, OPTIONS } from "./options.ts";
import { outgoingProxyOf, proxyName } from "./outgoing-proxy.ts";

/** The settings with the address that the server listens on. */
type Config = ConfigValues & { readonly host: string };

/** Checks limits that depend on each other. @returns the problems */
export function checkLimits({ ingest }: ConfigValues): string[] {
  const { highWaterBytes, maxBodyBytes } = ingest;
  // One request holds its body and the events parsed from it. With less than twice the body size a
  // valid request could never be accepted.
  if (highWaterBytes >= 2 * maxBodyBytes) return [];
  return [
    `ingest.highWaterBytes is ${highWaterBytes}; it must be at least ${2 * maxBodyBytes}, ` +
      `twice ingest.maxBodyBytes (${maxBodyBytes}). Raise it, or lower ingest.maxBodyBytes`,
  ];
}

/** Checks settings that need each other. @returns the problems */
export function checkPairs({ tls, smtp, mailIn }: Pick<ConfigValues, "tls" | "smtp" | "mailIn">): string[] {
  const pairs = [
    ["tls.certFile", tls.certFile, "tls.keyFile", tls.keyFile],
    ["smtp.dkim.domain", smtp.dkim.domain, "smtp.dkim.keyFile", smtp.dkim.keyFile],
    ["mailIn.certFile", mailIn.certFile, "mailIn.keyFile", mailIn.keyFile],
  ] as const;
  return pairs
    .filter(([, one, , other]) => (one === undefined) !== (other === undefined))
    .map(([one, , other]) => `${one} and ${other} belong together; set both, or neither`);
}

/** Checks the mail way of `emergency`. @returns the problems */
export function checkEmergency({ emergency }: Pick<ConfigValues, "emergency">): string[] {
  const { host, to } = emergency.smtp;
  if (host !== undefined && to.length === 0)
    return ["emergency.smtp.to must hold at least one mail address with emergency.smtp.host"];
  return host === undefined && to.length > 0 ? ["emergency.smtp.to needs emergency.smtp.host"] : [];
}

/** Checks what a node needs. @returns the problems */
export function checkCluster({ cluster, port }: Pick<ConfigValues, "cluster" | "port">): string[] {
  if (cluster.servers.length === 0) return [];
  return [
    ...(cluster.secret === undefined ? ["cluster.secret is needed with cluster.servers"] : []),
    ...(cluster.advertise === undefined
      ? ["cluster.advertise is needed with cluster.servers: the URL under which the other nodes reach this one"]
      : []),
    ...((cluster.user === undefined) === (cluster.password === undefined)
      ? []
      : ["cluster.user and cluster.password belong together"]),
    ...(port === 0 ? ["port must not be 0 with cluster.servers"] : []),
  ];
}

/** The name of this node. */
export function nodeOf({ cluster }: Pick<ConfigValues, "cluster">): string {
  return cluster.node ?? hostname().split(".", 1)[0] ?? "node";
}

/** Warnings about valid but risky settings. `serve` logs each once, `doctor` shows each as WARN. */
export function serverWarnings(
  config: Pick<Config, "env" | "host" | "publicUrl" | "smtp" | "mailIn" | "tls" | "trustedProxies" | "rateLimit">,
): string[] {
  const isProduction = config.env === "production";
  const warnings: string[] = [];
  if (isProduction && !config.rateLimit.enabled) warnings.push("rateLimit.enabled is false: requests are not limited");
  if (isProduction && isPlainOnNetwork(config))
    warnings.push(
      `plain HTTP on ${config.host}: passwords and tokens cross the network unencrypted; ` +
        "set tls.certFile and tls.keyFile, or HOST=127.0.0.1 with a proxy in front, " +
        "or publicUrl (https) and trustedProxies for a proxy on another host",
    );
  const isReachable = isProduction || !isLoopback(config.host);
  if (config.smtp.host !== undefined && config.publicUrl === undefined && isReachable)
    warnings.push(
      "smtp.host is set without publicUrl: links in mails lead to localhost; " +
        "set publicUrl to the address that users open",
    );
  if (config.mailIn.port !== undefined && config.mailIn.domain === undefined && config.publicUrl === undefined)
    warnings.push(
      "mailIn.port is set without mailIn.domain and publicUrl: receivers' mail addresses end in @localhost",
    );
  return warnings;
}

interface SecretFiles {
  readonly files: {
    readonly config: string | null;
    readonly secrets: { readonly path: string } | null;
    readonly stored: string;
  };
  readonly origins: ReadonlyMap<string, string>;
}

/** Files that contain secrets and are readable by every user of this machine. */
export function openSecretFiles({ files, origins }: SecretFiles): string[] {
  const hasSecret = (origin: string): boolean =>
    flattenOptions(OPTIONS).some(([key, { secret }]) => secret && origins.get(key) === origin);
  const candidates = [
    files.secrets?.path ?? null,
    hasSecret("file") ? files.config : null,
    hasSecret("console") ? files.stored : null,
  ];
  const paths = candidates.filter((path) => path !== null);
  return paths.filter((path) => (statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o007);
}

export const OPEN_SECRETS = "holds secrets and every user of this machine can read it";

/** A proxy on another host, which speaks TLS to clients, needs both settings. */
function isPlainOnNetwork({
  host,
  tls,
  publicUrl,
  trustedProxies,
}: Pick<Config, "host" | "tls" | "publicUrl" | "trustedProxies">): boolean {
  if (tls.certFile !== undefined || isLoopback(host)) return false;
  return !(publicUrl?.startsWith("https:") === true && trustedProxies.length > 0);
}

/** Whether only this machine reaches a server that listens there. */
export function isLoopback(host: string): boolean {
  return LOOPBACK_HOST.test(host.includes(":") ? `[${host}]` : host);
}

const LOOPBACK_HOST = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/**
 * Checks the settings of the trusted token issuer that depend on each other. @returns the problems
 */
export function checkTrusted({ auth }: Pick<ConfigValues, "auth">): string[] {
  const { issuer, audience, jwksUrl, secret, provision } = auth.trusted;
  const problems: string[] = [];
  if (jwksUrl === undefined && secret === undefined) {
    const isMeant = issuer !== undefined || audience !== undefined || provision;
    return isMeant ? ["auth.trusted needs auth.trusted.jwksUrl or auth.trusted.secret"] : [];
  }
  if (jwksUrl !== undefined && secret !== undefined)
    problems.push("auth.trusted.jwksUrl and auth.trusted.secret exclude each other; set one of them");
  if (jwksUrl !== undefined) {
    const { protocol, hostname, username, password } = new URL(jwksUrl);
    if (protocol !== "https:" && !LOOPBACK_HOST.test(hostname))
      problems.push("auth.trusted.jwksUrl must be an https URL, unless it is on this machine");
    if (username !== "" || password !== "") problems.push("auth.trusted.jwksUrl must not hold a password");
    if (issuer === undefined || audience === undefined)
      problems.push("auth.trusted.issuer and auth.trusted.audience must be set with auth.trusted.jwksUrl");
  }
  const own = [auth.jwtSecret, auth.accessSecret, auth.refreshSecret, ...auth.previousAccessSecrets];
  if (secret !== undefined && own.includes(secret))
    problems.push("auth.trusted.secret is one of Prism's own secrets; give Prism another JWT_SECRET");
  return problems;
}

/** Checks what a proxy that signs people in needs. @returns the problems */
export function checkProxyHeader({ auth }: Pick<ConfigValues, "auth">): string[] {
  const { name, from, secret } = auth.proxyHeader;
  if (name === undefined || (from.length > 0 && secret !== undefined)) return [];
  return ["auth.proxyHeader.name needs auth.proxyHeader.from and auth.proxyHeader.secret"];
}

/** Checks the providers of `auth.oidc` together. @returns the problems */
export function checkOidc({ env, publicUrl, auth }: Pick<ConfigValues, "env" | "publicUrl" | "auth">): string[] {
  const { oidc } = auth;
  const problems: string[] = [];
  const names = oidc.map(({ name }) => name);
  const repeated = names.find((name, at) => names.indexOf(name) !== at);
  if (repeated !== undefined) problems.push(`auth.oidc has two providers with the name ${repeated}`);
  if (oidc.filter(({ autoRedirect }) => autoRedirect).length > 1)
    problems.push("auth.oidc has autoRedirect at two providers; one can have it");
  if (oidc.length > 0 && env === "production" && publicUrl === undefined)
    problems.push("auth.oidc needs publicUrl, to which providers lead people back");
  for (const { name, issuer, userClaim, mfa, acr, amr } of oidc) {
    const other = oidc.find((each) => each.issuer === issuer && each.userClaim !== userClaim);
    if (other !== undefined && other.name < name)
      problems.push(`auth.oidc ${other.name} and ${name} have one issuer: they need the same userClaim`);
    const { protocol, hostname } = new URL(issuer);
    if (protocol !== "https:" && env === "production" && !LOOPBACK_HOST.test(hostname))
      problems.push(`auth.oidc ${name}: issuer must be an https URL, unless it is on this machine`);
    if (mfa === "trust" && acr.length + amr.length === 0)
      problems.push(`auth.oidc ${name}: mfa trust needs acr or amr, values of ID tokens after a second factor`);
  }
  return problems;
}

/** Checks the settings of S3 and Pusher that depend on each other. @returns the problems */
export function checkProviders({ storage, pusher, env }: Pick<ConfigValues, "storage" | "pusher" | "env">): string[] {
  const problems: string[] = [];
  const need = (section: string, members: Readonly<Record<string, string | undefined>>, why: string): void => {
    const missing = Object.keys(members).filter((name) => members[name] === undefined);
    if (missing.length > 0)
      problems.push(`${missing.map((name) => `${section}.${name}`).join(", ")} must be set ${why}`);
  };
  if (storage.kind === "s3") {
    const { bucket, region, accessKeyId, secretAccessKey } = storage.s3;
    need("storage.s3", { bucket, region, accessKeyId, secretAccessKey }, "with storage.kind s3");
  }
  const { appId, key, secret, cluster, endpoint } = pusher;
  if (pusher.mode === "remote") {
    need("pusher", { appId, key, secret }, "with pusher.mode remote");
    if (cluster === undefined && endpoint === undefined)
      problems.push("pusher.cluster must be set with pusher.mode remote, or pusher.endpoint");
  } else if ([appId, key, secret].some((value) => value !== undefined))
    need("pusher", { appId, key, secret }, "together, or none of them");
  for (const [name, url] of [
    ["storage.s3.endpoint", storage.s3.endpoint],
    ["pusher.endpoint", endpoint],
  ] as const) {
    if (url?.startsWith("http:") && env === "production") problems.push(`${name} must be an https URL in production`);
  }
  return problems;
}

/** Checks that each host has one API. @returns the problems */
export function checkFaces({ ntfy, gotify, publicUrl }: Pick<ConfigValues, "ntfy" | "gotify" | "publicUrl">): string[] {
  const isIn = (hosts: readonly string[], name: string): boolean =>
    hosts.some((host) => host.toLowerCase() === name.toLowerCase());
  const problems = gotify.hosts
    .filter((host) => isIn(ntfy.hosts, host))
    .map((host) => `ntfy.hosts and gotify.hosts both contain ${host}; a host serves one of them`);
  const own = publicUrl === undefined ? "" : new URL(publicUrl).hostname;
  for (const [key, { hosts }] of Object.entries({ ntfy, gotify }))
    if (isIn(hosts, own))
      problems.push(`${key}.hosts contains ${own}, the host of publicUrl; give it a host of its own`);
  return problems;
}

/** Warnings about settings that are set but have no effect. */
export function unusedProviders({ storage, pusher }: Pick<ConfigValues, "storage" | "pusher">): string[] {
  const unused: string[] = [];
  if (storage.kind !== "s3" && storage.s3.bucket !== undefined)
    unused.push(
      "storage.s3.bucket (S3_BUCKET) is not used while storage.kind is local; " +
        "set PRISM_STORAGE_KIND=s3 to keep sounds there",
    );
  if (pusher.mode === "embedded" && pusher.cluster !== undefined)
    unused.push(
      "pusher.cluster (PUSHER_CLUSTER) is not used while pusher.mode is embedded: " +
        "clients must connect to this server; set PRISM_PUSHER_MODE=remote to send through your app at Pusher",
    );
  if (pusher.mode === "remote" && pusher.webhooks.urls.length > 0)
    unused.push("pusher.webhooks.urls is not used while pusher.mode is remote: set webhooks up at Pusher");
  return unused;
}

const MIN_SECRET_BYTES = 32;
const MIN_BCRYPT_COST = 12;
/** A value with fewer distinct bytes is a pattern, not a secret. */
const MIN_DIFFERENT = 8;
/** Placeholders of example files and tutorials, which a random generator hardly ever produces. */
const PLACEHOLDERS = [
  /secret|password|placeholder|example/i,
  /change[-_ ]?(me|this|it\b|in\b)/i,
  /^(your|dev|test|default|dummy)[-_ ]/i,
  /^replace|^<.*>$|x{6}/i,
];

/**
 * Problems of secrets in production: short, repetitive, equal to another one, or a placeholder of
 * an example file.
 * @param use `encryption` checks the encryption key only.
 */
export function checkProduction(config: ConfigValues, use: "all" | "encryption"): string[] {
  if (config.env !== "production") return [];
  const problems = use === "all" ? weakSecrets(config) : [];
  if (config.encryptionKey && new Set(config.encryptionKey).size < MIN_DIFFERENT)
    problems.push(
      `${variableOf("encryptionKey")} (encryptionKey) repeats too few bytes; ${HOW_TO_MAKE["encryptionKey"]}`,
    );
  if (config.auth.bcryptCost < MIN_BCRYPT_COST)
    problems.push(`auth.bcryptCost is ${config.auth.bcryptCost}; production needs ${MIN_BCRYPT_COST} or more`);
  for (const [key, endpoint] of [
    ["fcm.endpoint", config.fcm.endpoint],
    ["fcm.tokenEndpoint", config.fcm.tokenEndpoint],
    ["apns.endpoint", config.apns.endpoint],
  ] as const)
    if (endpoint !== undefined) problems.push(`${key} is for tests; production sends to the provider itself`);
  return problems;
}

/** @param missing keys of the secrets that are not configured. */
export function missingInProduction({ env }: ConfigValues, missing: readonly string[]): string[] {
  if (env !== "production") return [];
  return missing.map((key) => `${variableOf(key)} (${key}) is required in production; ${HOW_TO_MAKE[key]}`);
}

function weakSecrets({ auth, encryptionKey }: ConfigValues): string[] {
  const problems: string[] = [];
  for (const [key, secret] of [
    ["auth.jwtSecret", auth.jwtSecret],
    ["auth.accessSecret", auth.accessSecret],
    ["auth.refreshSecret", auth.refreshSecret],
    ["auth.trusted.secret", auth.trusted.secret],
  ] as const) {
    if (secret === undefined) continue;
    const isShared = encryptionKey !== undefined && isSameKey(secret, encryptionKey);
    const problem = isShared ? "has the value of PRISM_ENCRYPTION_KEY" : weakness(secret);
    if (problem) problems.push(`${variableOf(key)} (${key}) ${problem}; ${HOW_TO_MAKE["auth.jwtSecret"]}`);
  }
  return problems;
}

function isSameKey(secret: string, key: Uint8Array): boolean {
  const decoded = decodeKey32(secret);
  return decoded !== undefined && Buffer.compare(decoded, key) === 0;
}

function weakness(secret: string): string | undefined {
  if (PLACEHOLDERS.some((pattern) => pattern.test(secret))) return "is a placeholder";
  const bytes = Buffer.byteLength(secret);
  if (bytes < MIN_SECRET_BYTES) return `is ${bytes} bytes long, of ${MIN_SECRET_BYTES} or more`;
  return new Set(secret).size < MIN_DIFFERENT ? "repeats too few characters" : undefined;
}

/** The variable name that operators know: the first alternative name, otherwise `PRISM_…`. */
function variableOf(key: string): string {
  const option = flattenOptions(OPTIONS).find(([each]) => each === key)?.[1];
  return option?.seed[0] ?? environmentName(key);
}

const HOW_TO_MAKE: Readonly<Record<string, string>> = {
  "auth.jwtSecret": "set it, in the environment or in .env, to the output of: openssl rand -base64 48",
  encryptionKey: "set it, in the environment or in .env, to the output of: openssl rand -base64 32",
};

/** In one sentence which proxy HTTP calls leave through, and which setting or variable names it. */
export function proxyText({
  config,
  names,
}: {
  readonly config: Pick<ConfigValues, "proxy">;
  readonly names: ReadonlyMap<string, string>;
}): string | null {
  const proxy = outgoingProxyOf(config.proxy);
  if (proxy === null) return null;
  const except = proxy.noProxy.length > 0 ? `, except to ${proxy.noProxy.join(", ")}` : "";
  const resolves = proxy.resolves ? "; names that do not resolve here are left to it" : "";
  return `HTTP calls leave through ${proxyName(proxy)} (${names.get("proxy.url") ?? "proxy.url"})${except}${resolves}`;
}

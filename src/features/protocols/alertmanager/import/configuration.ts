import { PrismError } from "../../../../core/errors.ts";
import {
  compileMatchers,
  type Matcher,
  matcherText,
  parseMatchers,
  parsePrometheusDuration,
  parseTimeInterval,
  type RouteNode,
} from "../../../alerts/index.ts";
import { type ImportedReceiver, readReceiver } from "./receiver.ts";
import {
  Findings,
  type ImportNote,
  itemsOf,
  membersOf,
  parseYaml,
  placesIn,
  type Reading,
  textOf,
  textsOf,
  type YamlObject,
} from "./yaml-file.ts";

/** A configuration of Alertmanager in the terms of Prism. */
export interface ImportedConfiguration {
  /** The body of `PUT /api/v1/routes`. */
  readonly routing: {
    readonly route: RouteNode;
    readonly inhibitRules: readonly object[];
    readonly timeIntervals: readonly object[];
  };
  readonly receivers: readonly ImportedReceiver[];
  /** Parts without a counterpart. */
  readonly left: readonly ImportNote[];
  /** Parts with a counterpart that differs. */
  readonly changed: readonly ImportNote[];
  /** Line and receiver of a path, for people. */
  readonly place: (path: string) => string;
}

const TOP = [
  ...["global", "route", "inhibit_rules", "receivers", "templates", "time_intervals", "mute_time_intervals"],
  ...["tracing", "event_recorder"],
];
const ROUTE = [
  ...["receiver", "group_by", "matchers", "match", "match_re", "continue", "labels", "routes"],
  ...["group_wait", "group_interval", "repeat_interval", "mute_time_intervals", "active_time_intervals"],
];
/** Settings of all receivers; those for mail are Prism's own. */
const GLOBAL = [
  ...["resolve_timeout", "http_config", "slack_api_url", "slack_api_url_file", "slack_app_token"],
  ...["slack_app_token_file", "slack_app_url", "pagerduty_url", "opsgenie_api_url", "opsgenie_api_key"],
  ...["opsgenie_api_key_file", "victorops_api_url", "victorops_api_key", "victorops_api_key_file"],
  ...["telegram_api_url", "telegram_bot_token", "telegram_bot_token_file", "webex_api_url", "jira_api_url"],
  ...["rocketchat_api_url", "rocketchat_token", "rocketchat_token_file", "rocketchat_token_id"],
  ...["rocketchat_token_id_file", "mattermost_webhook_url", "mattermost_webhook_url_file"],
  ...["wechat_api_url", "wechat_api_secret", "wechat_api_secret_file", "wechat_api_corp_id"],
  ...["smtp_from", "smtp_hello", "smtp_smarthost", "smtp_auth_username", "smtp_auth_password"],
  ...["smtp_auth_password_file", "smtp_auth_secret", "smtp_auth_secret_file", "smtp_auth_identity"],
  ...["smtp_require_tls", "smtp_tls_config", "smtp_force_implicit_tls"],
];
const INHIBIT = [
  ...["name", "source_match", "source_match_re", "source_matchers"],
  ...["target_match", "target_match_re", "target_matchers", "equal"],
];

/** As deep as a routing document may be; an alias of YAML can make a tree without an end. */
const MAX_DEPTH = 32;

/**
 * Reads a configuration file of Alertmanager. Its defaults keep their meaning: the routing document
 * has the same ones. @param readFile reads the files of secrets that it names
 * @throws VALIDATION_FAILED with every problem of the file
 */
export function readConfiguration(text: string, readFile: Reading["readFile"] = noFile): ImportedConfiguration {
  const findings = new Findings();
  const file = membersOf(parseYaml(text), "", TOP, findings);
  const timeIntervals = [
    ...readIntervals(file["time_intervals"], "time_intervals", findings),
    ...readIntervals(file["mute_time_intervals"], "mute_time_intervals", findings),
  ];
  const globals = membersOf(file["global"], "global", GLOBAL, findings);
  const receivers = itemsOf(file["receivers"], "receivers", findings).map((item, at) =>
    readReceiver(item, `receivers.${at}`, { findings, globals, readFile }),
  );
  if (file["route"] === undefined) findings.problem("route", "is required");
  const reading = { findings, receivers: new Set(receivers.map(({ name }) => name)) };
  const routing = {
    route: readRoute(file["route"], "route", reading),
    inhibitRules: itemsOf(file["inhibit_rules"], "inhibit_rules", findings).map((item, at) =>
      readInhibitRule(item, `inhibit_rules.${at}`, findings),
    ),
    timeIntervals,
  };
  requireUnique(receivers, "receivers", findings);
  requireUnique(timeIntervals, "time_intervals", findings);
  noteGlobal(globals, findings);
  if (itemsOf(file["templates"], "templates", findings).length > 0)
    findings.change("templates", "Go templates are not used: texts of notifications are Prism's own");
  if (isFilled(file["tracing"])) findings.change("tracing", "Prism sends no traces; alerts are not affected");
  if (isFilled(file["event_recorder"]))
    findings.change(
      "event_recorder",
      "Prism has its own record: the timeline of incidents, events and the audit trail",
    );
  const { problems } = findings;
  const left = distinct(findings.left);
  const changed = distinct(findings.changed);
  if (problems.length > 0)
    throw new PrismError("VALIDATION_FAILED", "The configuration is not valid", { details: problems });
  return { routing, receivers, left, changed, place: placesIn(text) };
}

function isFilled(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function noFile(): never {
  throw new Error("there are no files");
}

/** A global setting is found with each receiver that uses it. */
function distinct(notes: readonly ImportNote[]): readonly ImportNote[] {
  return [...new Map(notes.map((note) => [`${note.path} ${note.message}`, note])).values()];
}

interface RouteReading {
  readonly findings: Findings;
  readonly receivers: ReadonlySet<string>;
}

function readRoute(value: unknown, path: string, reading: RouteReading): RouteNode {
  const { findings } = reading;
  if (path.split(".routes.").length > MAX_DEPTH) {
    findings.problem(path, `the tree is deeper than ${MAX_DEPTH} routes`);
    return {};
  }
  const route = membersOf(value, path, ROUTE, findings);
  const isRoot = path === "route";
  const policy = textOf(route["receiver"], `${path}.receiver`, findings);
  if (isRoot && policy === undefined) findings.problem(`${path}.receiver`, "is required");
  if (policy !== undefined && !reading.receivers.has(policy))
    findings.problem(`${path}.receiver`, `no receiver has the name ${JSON.stringify(policy)}`);
  const matchers = readMatchers(route, "", path, findings);
  const groupBy = textsOf(route["group_by"], `${path}.group_by`, findings);
  const labels = route["labels"] as Readonly<Record<string, string>> | undefined;
  return {
    ...(policy === undefined ? {} : { policy }),
    ...(matchers.length > 0 ? { matchers } : {}),
    ...(route["continue"] === true ? { continue: true } : {}),
    ...(groupBy.length > 0 ? { groupBy } : {}),
    ...durationOf(route, "group_wait", "groupWaitMs", { path, findings, min: 0, max: 86_400_000 }),
    ...durationOf(route, "group_interval", "groupIntervalMs", { path, findings, min: 1000, max: 604_800_000 }),
    ...durationOf(route, "repeat_interval", "repeatMs", { path, findings, min: 60_000, max: 31_536_000_000 }),
    ...intervalNames(route, "mute_time_intervals", "muteIntervals", path, findings),
    ...intervalNames(route, "active_time_intervals", "activeIntervals", path, findings),
    ...(labels ? { labels } : {}),
    ...routesOf(route["routes"], path, reading),
  };
}

function routesOf(value: unknown, path: string, reading: RouteReading): Pick<RouteNode, "routes"> {
  const items = itemsOf(value, `${path}.routes`, reading.findings);
  return items.length === 0
    ? {}
    : { routes: items.map((item, at) => readRoute(item, `${path}.routes.${at}`, reading)) };
}

/** `matchers` and the older maps of equal values and patterns, with a prefix in inhibition rules. */
function readMatchers(from: YamlObject, prefix: string, path: string, findings: Findings): readonly string[] {
  const found: Matcher[] = [];
  for (const [name, operator] of [
    [`${prefix}match`, "="],
    [`${prefix}match_re`, "=~"],
  ] as const)
    for (const [label, value] of Object.entries((from[name] ?? {}) as YamlObject))
      found.push({ name: label, operator, value: textOf(value, `${path}.${name}.${label}`, findings) ?? "" });
  const list = `${path}.${prefix}matchers`;
  for (const [at, text] of textsOf(from[`${prefix}matchers`], list, findings).entries())
    found.push(...(attempt(`${list}.${at}`, findings, () => parseMatchers(text)) ?? []));
  for (const matcher of found) attempt(path, findings, () => compileMatchers([matcher]));
  return found.map(matcherText);
}

function readInhibitRule(value: unknown, path: string, findings: Findings) {
  const rule = membersOf(value, path, INHIBIT, findings);
  const name = textOf(rule["name"], `${path}.name`, findings);
  return {
    ...(name === undefined ? {} : { name }),
    sourceMatchers: readMatchers(rule, "source_", path, findings),
    targetMatchers: readMatchers(rule, "target_", path, findings),
    equal: textsOf(rule["equal"], `${path}.equal`, findings),
  };
}

function readIntervals(value: unknown, path: string, findings: Findings) {
  return itemsOf(value, path, findings).map((item, at) => {
    const interval = membersOf(item, `${path}.${at}`, ["name", "time_intervals"], findings);
    const name = textOf(interval["name"], `${path}.${at}.name`, findings) ?? "";
    const list = `${path}.${at}.time_intervals`;
    const intervals = itemsOf(interval["time_intervals"], list, findings);
    for (const [i, each] of intervals.entries()) attempt(`${list}.${i}`, findings, () => parseTimeInterval(each));
    return { name, intervals: intervals as YamlObject[] };
  });
}

function intervalNames<K extends string>(
  route: YamlObject,
  member: string,
  key: K,
  path: string,
  findings: Findings,
): Partial<Record<K, readonly string[]>> {
  const names = textsOf(route[member], `${path}.${member}`, findings);
  return names.length === 0 ? {} : (Object.fromEntries([[key, names]]) as Partial<Record<K, readonly string[]>>);
}

interface DurationLimits {
  readonly path: string;
  readonly findings: Findings;
  readonly min: number;
  readonly max: number;
}

function durationOf<K extends string>(
  route: YamlObject,
  member: string,
  key: K,
  { path, findings, min, max }: DurationLimits,
): Partial<Record<K, number>> {
  const text = textOf(route[member], `${path}.${member}`, findings);
  if (text === undefined) return {};
  const ms = parsePrometheusDuration(text);
  if (ms === undefined) findings.problem(`${path}.${member}`, `${JSON.stringify(text)} is not a duration`);
  const used = Math.min(Math.max(ms ?? min, min), max);
  if (ms !== undefined && used !== ms) findings.change(`${path}.${member}`, `${text} becomes ${used / 1000} s`);
  return Object.fromEntries([[key, used]]) as Partial<Record<K, number>>;
}

function requireUnique(items: readonly { readonly name: string }[], path: string, findings: Findings): void {
  const seen = new Set<string>();
  for (const [at, { name }] of items.entries()) {
    if (name === "") findings.problem(`${path}.${at}.name`, "is required");
    else if (seen.has(name)) findings.problem(`${path}.${at}.name`, `${JSON.stringify(name)} is there twice`);
    seen.add(name);
  }
}

/** Receivers read the others. */
function noteGlobal(globals: YamlObject, findings: Findings): void {
  const timeout = globals["resolve_timeout"];
  if (timeout !== undefined && parsePrometheusDuration(String(timeout)) !== 300_000)
    findings.change("global.resolve_timeout", `${String(timeout)} becomes 5m, for alerts without an end`);
  if (Object.keys(globals).some((name) => name.startsWith("smtp_")))
    findings.change("global.smtp_*", "mail is sent with Prism's own settings (smtp.*)");
}

/** Runs `read`; its refusal is a problem at the path. */
function attempt<T>(path: string, findings: Findings, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PrismError)) throw error;
    findings.problem(path, error.message);
    return undefined;
  }
}

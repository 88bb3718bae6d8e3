import { CommandError, EXIT, ServerRefused } from "../../../../core/command-error.ts";
import type { ErrorDetail } from "../../../../core/errors.ts";
import { printable } from "../../../../core/text/clean-text.ts";
import type { RouteNode } from "../../../alerts/index.ts";
import type { ImportedConfiguration } from "./configuration.ts";
import type { ImportedReceiver, ReceiverChannel } from "./receiver.ts";
import type { ImportNote } from "./yaml-file.ts";

/* Stores a configuration in a project of a server. */

interface Server {
  post<T>(path: string, body: unknown): Promise<T>;
}

export interface ImportFlags {
  readonly project: string;
  readonly dryRun?: boolean;
  readonly replace?: boolean;
  readonly allowEmpty?: boolean;
}

type Outcome = "created" | "updated" | "unchanged";

interface PolicyReport {
  readonly name: string;
  readonly outcome: Outcome;
  readonly channels: number;
  readonly webhooks: number;
  readonly users: readonly string[];
  readonly opensIncidents: boolean;
}

/** The report of an import, which `--json` prints. */
export interface ImportReport {
  readonly project: string;
  readonly dryRun: boolean;
  readonly policies: readonly PolicyReport[];
  readonly channels: readonly { readonly name: string; readonly preset: string; readonly outcome: Outcome }[];
  readonly routing: { readonly outcome: Outcome; readonly routes: number };
  readonly inhibitRules: number;
  readonly timeIntervals: number;
  readonly changed: readonly ImportNote[];
  readonly notTranslated: readonly ImportNote[];
  /** What the import would change: without `replace` only a dry run ends with it. */
  readonly conflict: string | null;
}

/** The error with every problem. @param place says where a path is */
export function refusal(
  text: string,
  problems: readonly ImportNote[],
  place: (path: string) => string,
  cause?: unknown,
): CommandError {
  const lines = problems.map(({ path, message }) =>
    printable(`  - ${path === "" ? "" : `${place(path)}${path}: `}${message}`),
  );
  return new CommandError(EXIT.conflict, [text, ...lines].join("\n"), { cause });
}

/** The answer of the server. */
interface Answer {
  readonly channels: readonly {
    readonly ref: string;
    readonly name: string;
    readonly preset: string;
    outcome: Outcome;
  }[];
  readonly policies: readonly { readonly name: string; readonly outcome: Outcome }[];
  readonly routing: Outcome;
}

const NEEDS_REPLACE = "nothing was imported: give --replace";

/** Each refusal leaves out at least one part. */
const MAX_ROUNDS = 100;

/**
 * The server checks everything before it stores anything; what it refuses is a part of a receiver.
 * @throws CommandError 7 for what cannot be translated, or would change what exists; ServerRefused
 */
export async function importInto(
  server: Server,
  { routing, receivers: all, left, changed, place }: ImportedConfiguration,
  { project, dryRun = false, replace = false, allowEmpty = false }: ImportFlags,
): Promise<ImportReport> {
  const path = `/api/v1/routes/import?projectId=${encodeURIComponent(project)}`;
  const notTranslated = [...left];
  let receivers = all;
  let checked: Answer | undefined;
  for (let round = 0; checked === undefined && round < MAX_ROUNDS; round += 1) {
    const { body, parts } = requestOf(receivers, routing);
    try {
      checked = await server.post<Answer>(path, { ...body, dryRun: true });
    } catch (error) {
      const refused = refusedParts(error, parts, place);
      notTranslated.push(...refused.map(({ part, message }) => ({ path: part.path, message })));
      receivers = receivers.map((receiver) => without(receiver, new Set(refused.map(({ part }) => part))));
    }
  }
  notTranslated.sort((a, b) => a.path.localeCompare(b.path, "en", { numeric: true }));
  if (!allowEmpty) requireTranslated(notTranslated, place);
  if (checked === undefined)
    throw refusal("the server refuses the import; nothing was imported:", notTranslated, place);
  const conflict = replace ? null : conflictOf(checked, project);
  if (conflict !== null && !dryRun) throw new CommandError(EXIT.conflict, `${conflict}; ${NEEDS_REPLACE}`);
  const { body } = requestOf(receivers, routing);
  const done = dryRun ? checked : await server.post<Answer>(path, { ...body, replace }).catch(wouldChange);
  return {
    ...{ project, dryRun, policies: policiesOf(receivers, done), channels: done.channels.map(channelReport) },
    routing: { outcome: done.routing, routes: countRoutes(routing.route) },
    inhibitRules: routing.inhibitRules.length,
    timeIntervals: routing.timeIntervals.length,
    ...{ changed, notTranslated, conflict },
  };
}

/** @throws CommandError 7 with what has no counterpart */
export function requireTranslated(left: readonly ImportNote[], place: (path: string) => string): void {
  if (left.length === 0) return;
  const text =
    "this cannot be translated; nothing was imported. Correct the file, or give --allow-empty to import the rest:";
  throw refusal(text, left, place);
}

/** @throws the error if it is about something else */
function refusedParts(error: unknown, parts: ReadonlyMap<string, Part>, place: (path: string) => string) {
  if (!(error instanceof ServerRefused) || error.details.length === 0) throw error;
  const refused = error.details.map((detail) => {
    const part = partAt(detail, parts);
    return { part, message: wordsOf(detail, part) };
  });
  const known = refused.flatMap(({ part, message }) => (part ? [{ part, message }] : []));
  if (known.length < refused.length) throw refusal(`${error.message}:`, error.details.map(noteOf), place, error);
  // A webhook with credentials is a step and a channel: what both refuse is said once, with its field.
  return known.filter(
    (each) => !known.some(({ part, message }) => each.part === part && message !== each.message && says(message, each)),
  );
}

/** Whether a message is the other one with a field in front. */
function says(message: string, { message: other }: { readonly message: string }): boolean {
  return other.startsWith(" ") && message.endsWith(other);
}

function noteOf({ path = "", message }: ErrorDetail): ImportNote {
  return { path, message };
}

/** What the import would change, which needs `replace`; null for nothing. */
function conflictOf({ policies, routing }: Answer, project: string): string | null {
  const updated = (items: readonly { readonly name: string; readonly outcome: Outcome }[]): string =>
    items.flatMap(({ name, outcome }) => (outcome === "updated" ? [name] : [])).join(", ");
  const what = [
    ...(routing === "updated" ? [`the routes of the project ${project}`] : []),
    ...(updated(policies) === "" ? [] : [`the policies ${updated(policies)}`]),
  ].join(" and ");
  return what === "" ? null : `this would change ${what}`;
}

/** Only the import itself shows changes of channels: a dry run does not compare secrets. */
function wouldChange(error: unknown): never {
  if (!(error instanceof ServerRefused) || error.code !== "INVALID_STATE") throw error;
  const text = error.message.replace("replace must be true", NEEDS_REPLACE);
  throw new CommandError(EXIT.conflict, text, { cause: error });
}

function policiesOf(receivers: readonly ImportedReceiver[], { policies }: Answer): PolicyReport[] {
  return receivers.map(({ name, channels, webhooks, addresses, isSink }, at) => ({
    name,
    outcome: policies[at]?.outcome ?? "unchanged",
    channels: channels.length,
    webhooks: webhooks.length,
    users: addresses.map(({ address }) => address),
    opensIncidents: !isSink,
  }));
}

function channelReport({ name, preset, outcome }: Answer["channels"][number]) {
  return { name, preset, outcome };
}

/** A part of a receiver that the server may refuse. */
type Part = ReceiverChannel | ImportedReceiver["webhooks"][number] | ImportedReceiver["addresses"][number];

/** The request for receivers, and the part of the file behind each path in it. */
function requestOf(receivers: readonly ImportedReceiver[], routing: ImportedConfiguration["routing"]) {
  const parts = new Map<string, Part>();
  const channels: object[] = [];
  const add = (channel: ReceiverChannel, part: Part = channel): string => {
    const { ref, name, preset, fields, sendResolved } = channel;
    parts.set(`channels.${channels.length}`, part);
    channels.push({ ref, name, preset, fields, sendResolved, eventTypes: FOR_INCIDENTS });
    return ref;
  };
  const policies = receivers.map(({ name, webhooks, channels: own, addresses, sendResolved, isSink }, at) => {
    const users = { type: "notify", users: addresses.map(({ address }) => address), urgency: "high" };
    for (const [n, part] of addresses.entries()) parts.set(`policies.${at}.steps.0.users.${n}`, part);
    const steps: object[] = addresses.length > 0 ? [users] : [];
    for (const channel of own) steps.push({ type: "channel", id: add(channel) });
    for (const webhook of webhooks) {
      const { url, maxAlerts, channel, sendResolved: sendsEnds = true } = webhook;
      const access = channel ? { channel: add(channel, webhook) } : {};
      parts.set(`policies.${at}.steps.${steps.length}`, webhook);
      const own = {
        ...(maxAlerts ? { maxAlerts } : {}),
        ...(sendResolved && !sendsEnds ? { sendResolved: false } : {}),
      };
      steps.push({ type: "webhook", url, format: "alertmanager", ...own, ...access });
    }
    return { name, steps, sendResolved, opensIncidents: !isSink };
  });
  return { body: { channels, policies, routing }, parts };
}

/** A project's channels also get notifications of rules, which Alertmanager does not have. */
const FOR_INCIDENTS = ["incident.*"];

/** The part that a refusal is about. */
function partAt({ path = "" }: ErrorDetail, parts: ReadonlyMap<string, Part>): Part | undefined {
  const found = [...parts].find(([prefix]) => path === prefix || path.startsWith(`${prefix}.`));
  return found?.[1];
}

/** The problem, and with an address the next step. */
function wordsOf({ path = "", message }: ErrorDetail, part: Part | undefined): string {
  if (part && "address" in part)
    return `${part.address} ${message}: create the user with this address, add it to the project, or use a service`;
  const member = path.replace(/^channels\.\d+\.?(fields\.)?/, "").replace(/^policies\..*\./, "");
  return `${member} ${message}`;
}

/** The receiver without the parts that the server refused. */
function without(receiver: ImportedReceiver, refused: ReadonlySet<Part>): ImportedReceiver {
  const { channels, webhooks, addresses } = receiver;
  return {
    ...receiver,
    channels: channels.filter((each) => !refused.has(each)),
    webhooks: webhooks.filter((each) => !refused.has(each)),
    addresses: addresses.filter((each) => !refused.has(each)),
  };
}

/** The routes of a tree, with the root. */
function countRoutes({ routes = [] }: RouteNode): number {
  return 1 + routes.reduce((count, route) => count + countRoutes(route), 0);
}

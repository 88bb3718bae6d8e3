import { fstatSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Explanation, SentNotification, StoredEvent } from "../../../client/api-types.gen.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { LEVELS } from "../../../core/text/vocabulary.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { isJsonObject, readJsonObject, readStdin } from "../../files.ts";
import { unlessHidden } from "../../on-server.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { integerFlag } from "../../output/flag-values.ts";
import { type Output, printable } from "../../output/output.ts";
import { single } from "../../resource.ts";

interface Flags {
  readonly project?: string;
  readonly type?: string;
  readonly severity?: string;
  readonly source?: string;
  readonly to?: readonly string[];
  readonly priority?: number;
  readonly title?: string;
  readonly link?: string;
  readonly data?: string;
  readonly dedupeKey?: string;
}

/** The content: a text, the members of a JSON object, or both. */
interface Content {
  readonly text: string;
  readonly data: Readonly<Record<string, unknown>> | undefined;
}

const DEFAULT_TYPE = "message";

/** Sends an event, or a notification. */
export function addSend(program: Command): void {
  single(program, "send", {
    text: "send an event to a project, or with --to a notification to users",
    about: `An event's payload is {"message": text, "title", "link"} with the members of --data, so that rules read
event.message; a notification has the text as its message, and --data as its data.`,
    examples: `Examples:
  $ prism send "Backup failed"
  $ prism send --project ops --type backup.failed --severity error "Backup failed"
  $ df -h / | prism send --type disk.report --source "$(hostname)"
  $ prism send --type order.paid --data '{"amount":1500}'
  $ prism send --to ann,bob --title "Backup failed" --priority 600 "No archive since Monday"`,
    args: { words: ["[text...]", "the text (default, and with -: text or a JSON object from stdin)"] },
    flags: {
      project: ["--project <project>", "id or slug of the event's project (default: default, or the API key's)"],
      type: ["--type <type>", `type of the event (default: ${DEFAULT_TYPE})`],
      severity: new Option("--severity <level>", "level of the event (default: info)").choices(LEVELS),
      source: ["--source <source>", "origin of the event, such as a host name"],
      to: ["--to <users>", "notify these users instead: usernames or ids, comma separated", namesFlag],
      priority: [
        "--priority <n>",
        "with --to: 0 to 1000; from 500 on, quiet hours do not delay it",
        integerFlag(0, 1000),
      ],
      title: ["--title <title>", "title (default for a notification: first line of the text)"],
      link: ["--link <url>", "URL to open when the notification is tapped"],
      data: ["--data <json>", "further payload members: JSON, @file, or - for stdin"],
      dedupeKey: ["--dedupe-key <key>", "do not store it if an earlier one has the same key"],
    },
    async check(given) {
      requireMatchingFlags(given);
      return { content: await contentOf(given["words"] as readonly string[], given) };
    },
    run({ server, out, given }) {
      const { to, content, ...flags } = given as unknown as Flags & { readonly content: Content };
      return to === undefined
        ? sendEvent(server, out, content, flags)
        : sendNotification(server, out, content, to, flags);
    },
  });
}

function namesFlag(text: string): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) throw new InvalidArgumentError("Use usernames or ids such as ann,bob.");
  return names;
}

/** @throws CommandError 2 for a flag of the other kind */
function requireMatchingFlags({ to, project, type, severity, source, priority }: Flags): void {
  if (to === undefined && priority !== undefined) throw usage("--priority needs --to");
  const ofEvents = { project, type, severity, source };
  const [wrong] = Object.entries(ofEvents).filter(([, value]) => to !== undefined && value !== undefined);
  if (wrong) throw usage(`--${wrong[0]} is for events and cannot be used with --to`);
}

/** @throws CommandError 2 without content */
async function contentOf(words: readonly string[], { data, type, title }: Flags): Promise<Content> {
  const isNamed = words.length === 1 && words[0] === "-";
  if (isNamed && data === "-") throw usage("the text and --data cannot both be read from stdin");
  const given = data === undefined ? undefined : await readJsonObject(data, "--data");
  const readsStdin = isNamed || (words.length === 0 && data === undefined && isPiped());
  const text = readsStdin ? (await readStdin()).trimEnd() : words.join(" ");
  const object = readsStdin && given === undefined ? objectOf(text) : undefined;
  if (object) return { text: "", data: object };
  if (text === "" && [given, type, title].every((value) => value === undefined))
    throw usage("give a text, --title, --data or --type, or write to stdin");
  return { text, data: given };
}

/** Whether stdin is a pipe or a file: a terminal would block, and cron provides /dev/null. */
function isPiped(): boolean {
  try {
    const stat = fstatSync(0);
    return stat.isFIFO() || stat.isFile() || stat.isSocket();
  } catch {
    return false;
  }
}

function objectOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

async function sendEvent(server: ServerClient, out: Output, { text, data }: Content, flags: Flags): Promise<void> {
  const { project: projectId, type = DEFAULT_TYPE, severity: level, source, dedupeKey, title, link } = flags;
  const payload = { ...data, ...given({ message: text === "" ? undefined : text, title, link }) };
  const body = { type, payload, ...given({ projectId, level, source, dedupeKey }) };
  const { id, seq: offset, status } = await server.post<StoredEvent>("/api/v1/events", body);
  const outcome = await outcomeOf(server, id);
  const stored = status === "accepted" ? `event ${printable(type)} accepted` : "duplicate of a stored event";
  out.result({ id, offset, status, ...outcome }, () => [
    `${id}  offset ${offset}  ${stored}`,
    outcomeText(outcome, id),
  ]);
}

/** The decisions on an event; null if the caller may not read it. */
interface Outcome {
  readonly rulesMatched: number | null;
  readonly recipients: number | null;
  readonly notifications: readonly string[] | null;
}

const UNKNOWN: Outcome = { rulesMatched: null, recipients: null, notifications: null };
const DECISION_POLL_MS = 100;
const DECISION_POLLS = 30;
const UNMATCHED: readonly string[] = ["condition false", "error", "inactive", "later", "undecided"];

/** Waits a few seconds for rules that lag. */
async function outcomeOf(server: ServerClient, id: string): Promise<Outcome> {
  for (let poll = 0; poll < DECISION_POLLS; poll++) {
    const view = await explained(server, id);
    if (view?.scope !== "full") return UNKNOWN;
    if (view.event?.state === "decided") return outcomeIn(view);
    await sleep(DECISION_POLL_MS);
  }
  return UNKNOWN;
}

function outcomeIn({ counts, notifications }: Explanation): Outcome {
  const matched = Object.entries(counts).filter(([outcome]) => !UNMATCHED.includes(outcome));
  return {
    rulesMatched: matched.reduce((sum, [, count]) => sum + count, 0),
    recipients: notifications.reduce((sum, { counts: { recipients } }) => sum + recipients, 0),
    notifications: notifications.map((notification) => notification.id),
  };
}

/** Undefined for an API key, or a token for ingest only: they may send but not read. */
function explained(server: ServerClient, id: string): Promise<Explanation | undefined> {
  return unlessHidden(server.get<Explanation>(`/api/v1/explain/event/${id}`));
}

function outcomeText({ rulesMatched, recipients }: Outcome, id: string): string {
  if (rulesMatched === null || recipients === null) return `prism explain ${id} shows which rules matched`;
  if (rulesMatched === 0) return "no rule matched";
  return `${countText(rulesMatched, "rule")} matched, ${countText(recipients, "recipient")} notified`;
}

const MAX_TITLE = 255;

async function sendNotification(
  server: ServerClient,
  out: Output,
  { text, data }: Content,
  recipients: readonly string[],
  { title, link, priority, dedupeKey }: Flags,
): Promise<void> {
  const message = text === "" ? title : text;
  if (message === undefined) throw usage("a notification needs a text or --title");
  const [firstLine = ""] = message.trim().split("\n");
  const heading = title ?? [...firstLine].slice(0, MAX_TITLE).join("");
  const action = link === undefined ? undefined : { type: "link", url: link };
  const members = given({ data, action, priority, dedupeKey });
  const body = { recipients, title: heading, message, ...members };
  const sent = await server.post<SentNotification>("/api/v1/notifications", body);
  // People, not names: an id and an address may be of one person.
  const count = sent.recipients.length;
  const { id, newRecipients = [] } = sent;
  const more = newRecipients.length === 0 ? {} : { newRecipients };
  out.result({ id, recipients: count, ...more }, () => `${id}  sent to ${countText(count, "recipient")}`);
  for (const name of newRecipients)
    out.note(
      `warning: there was no user ${printable(name)}. An account was created, as development does, and no one reads ` +
        `it; if the name is wrong: prism user delete ${printable(name)}`,
    );
}

/** The members with a value. */
function given(members: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function usage(message: string): CommandError {
  return new CommandError(EXIT.usage, message);
}

import { type Command, Option } from "commander";
import type {
  IssuedReceiver,
  Receiver,
  ReceiverReplay,
  ReceiverRequest,
  ReceiverTest,
} from "../../../client/api-types.gen.ts";
import { readInput, readJsonObject } from "../../files.ts";
import { durationFlag } from "../../output/flag-values.ts";
import { type Output, shortTime } from "../../output/output.ts";
import { type Call, filled, resource, type Values } from "../../resource.ts";
import { OF_PROJECT, wrapped } from "../alerts/shared.ts";

const LINE = "{id}  {preset}  {state}  {name}";
type ShownReceiver = Receiver & Partial<Pick<IssuedReceiver, "url" | "mailAddress">>;

const NOTIFY = "who is notified of its events that match no rule: the project's members (default of create), or none";
const FLAGS = {
  mapping: ["--mapping <json>", "members that override the preset's mapping: JSON, @file, or - for stdin"] as const,
  get notify() {
    return new Option("--notify <who>", NOTIFY).choices(["members", "none"]);
  },
};

function lineOf(receiver: ShownReceiver): string {
  return filled(LINE, { ...receiver, state: receiver.active ? "active" : "paused" });
}

/** Values with those of files read. @throws CommandError 2 */
async function withFiles({ secret, mapping, ...given }: Values): Promise<Values> {
  return {
    ...given,
    secret: secret === undefined ? undefined : (await readInput(String(secret), "--secret")).trim(),
    mapping: mapping === undefined ? undefined : await readJsonObject(String(mapping), "--mapping"),
  };
}

/** URL and mail address, which are shown once. */
function issuedLines({ id, preset, url, mailAddress }: ShownReceiver, { out }: { readonly out: Output }): string[] {
  if (preset === "mail" && !mailAddress)
    out.note("No mail arrives: the mail listener is off. Set PRISM_MAIL_IN_PORT, restart, and rotate the receiver.");
  if (url && /^https?:\/\/localhost[:/]/.test(url))
    out.note(
      "Only this machine reaches localhost: for another machine or a container, start with HOST=0.0.0.0 and set " +
        "publicUrl (PRISM_PUBLIC_URL) to the address that it uses.",
    );
  return [url ?? id, ...(mailAddress ? [mailAddress] : [])];
}

/** Receivers on a running server. */
export function addReceivers(program: Command): void {
  const change = { one: true, examples: ["Backups"], lines: lineOf } as const;
  resource(program, "receivers", "receiver", {
    text: "URLs at which other programs deliver: list, create, update, test and replay",
    examples: ["receivers create Backups", "receivers requests Backups"],
    ref: "id or name, or a prefix",
    list: "listReceivers",
    names: ["name"],
    line: "{id}  {name}",
    scope: { projectId: OF_PROJECT },
    verbs: {
      list: {
        text: "list receivers by name",
        examples: ["", "--project ops"],
        of: "listReceivers",
        columns: { PRESET: "preset", ACTIVE: "active", "LAST REQUEST": "lastRequestAt@", NAME: "name:36" },
      },
      show: {
        text: "show a receiver",
        examples: ["Backups", "Backups --json"],
        one: true,
        lines: (found: ShownReceiver) => [
          lineOf(found),
          `  URL ${found.prefix}…, ${found.hasSecret ? "with" : "without"} a secret, last request ${shortTime(found.lastRequestAt)}`,
          `  notifies ${found.notify === "none" ? "no one" : "its project's members"} of events that match no rule`,
          ...(found.preset === "mail" ? ["  its mail address is shown once, by create and rotate"] : []),
        ],
      },
      presets: {
        text: "list what can send to a receiver",
        examples: ["", "--json"],
        global: true,
        of: "listReceiverPresets",
        columns: { NAME: "name", GROUP: "group", SECRET: "secret", TITLE: "title:36" },
        as: "presets",
      },
      create: {
        text: "create a receiver and print its URL, a credential",
        examples: ["Backups", "GitHub --preset github --secret @secret.txt"],
        of: "createReceiver",
        args: { name: ["<name>", "name"] },
        flags: {
          preset: ["--preset <preset>", "what sends the requests", "generic"],
          secret: ["--secret <secret>", "key of the signatures, token or password: text, @file, or - for stdin"],
          mapping: FLAGS.mapping,
          notify: FLAGS.notify,
        },
        values: withFiles,
        lines: issuedLines,
      },
      update: {
        ...change,
        text: "change name, secret, mapping or who is notified",
        examples: ["Backups --mapping @mapping.json", "Backups --notify none"],
        of: "updateReceiver",
        flags: {
          name: ["--name <name>", "new name"],
          secret: ["--secret <secret>", "new secret: text, @file or -; the old one is refused at once"],
          mapping: FLAGS.mapping,
          notify: FLAGS.notify,
        },
        values: async (given, { found }) => ({ ...(await withFiles(given)), "If-Match": `"${found["version"]}"` }),
      },
      rotate: {
        ...change,
        text: "replace the URL and print it, or the secret",
        examples: ["Backups --grace 1h"],
        of: "rotateReceiver",
        flags: {
          secret: ["--secret <secret>", "replaces the secret in place of the URL: text, @file or -"],
          graceMs: ["--grace <duration>", "how long the old one still works", durationFlag],
        },
        values: withFiles,
        lines: (made: ShownReceiver, call: Call) => (made.url ? issuedLines(made, call) : lineOf(made)),
      },
      pause: { ...change, text: "refuse its requests", of: "pauseReceiver" },
      resume: { ...change, text: "take its requests again", of: "resumeReceiver" },
      delete: {
        text: "delete a receiver; its events and alerts stay",
        examples: ["Backups --yes"],
        one: true,
        of: "deleteReceiver",
        ask: "Delete the receiver {name}?",
        json: ({ id }: ShownReceiver) => ({ id, deleted: true }),
        say: "{id}  {name}  deleted",
      },
      requests: {
        text: "list the last requests of a receiver",
        examples: ["Backups"],
        one: true,
        of: "listReceiverRequests",
        most: 100,
        as: "requests",
        none: "no requests",
        rows: (requests: readonly ReceiverRequest[]) => requests.flatMap(requestLines),
      },
      test: {
        text: "show what a request would store; nothing is stored",
        examples: ["Backups", "Backups --body @request.json --mapping @mapping.json"],
        one: true,
        of: "testReceiver",
        flags: {
          mapping: FLAGS.mapping,
          requestId: ["--request <id>", "a request of the log (default: the sample of the preset)"],
          body: ["--body <text>", "body of a request: text, @file, or - for stdin"],
          contentType: ["--content-type <type>", "type of the body (default: application/json)"],
        },
        excludes: [
          ["requestId", "body"],
          ["requestId", "contentType"],
        ],
        async values({ body, contentType, ...given }) {
          const request =
            body === undefined ? undefined : { body: await readInput(String(body), "--body"), contentType };
          return { ...(await withFiles(given)), request };
        },
        lines: triedLines,
      },
      replay: {
        text: "store a request of the log again",
        examples: ["Backups 0198c0de-0000-7000-8000-000000000000"],
        one: true,
        of: "replayReceiverRequest",
        args: { requestId: ["<request>", "id of the request"] },
        lines: ({ result, eventIds, alerts }: ReceiverReplay) =>
          `${result}: events ${eventIds.length}, alerts ${alerts.length}`,
      },
    },
  });
}

function requestLines(request: ReceiverRequest): string[] {
  const { message, problem } = request.outcome;
  return [
    filled("{id}  {at@}  {result} {status}  {method} {bytes} bytes", request),
    ...wrapped(String(message ?? problem ?? ""), "  "),
  ];
}

function triedLines({ result, problem, events, alerts }: ReceiverTest): string[] {
  return [
    result,
    ...(problem === null ? [] : wrapped(problem, "  ")),
    ...events.flatMap(({ type, level, payload }) =>
      wrapped(`event ${type} ${level}: ${String(payload.title ?? "")}`, "  "),
    ),
    ...alerts.flatMap(({ key, status, labels }) =>
      wrapped(`alert ${key} ${status}: ${labels["alertname"] ?? ""}`, "  "),
    ),
  ];
}

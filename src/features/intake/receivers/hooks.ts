import { sha256Hex } from "../../../core/crypto/tokens.ts";
import { startOf } from "../../../core/text/clean-text.ts";
import { type BodyDescription, describeBody } from "../../../core/text/describe-body.ts";
import { parseWithLongIntegers } from "../../../core/text/json-text.ts";
import { type Members, objectOf, textIn } from "../../../core/text/members.ts";
import { plainText } from "../../../core/text/plain-text.ts";
import type { Level } from "../../../core/text/vocabulary.ts";
import { levelOfPriority, stateOf } from "../../../core/text/words.ts";
import type { LoadedPreset } from "./presets.ts";
import { type PushContent, readPush } from "./push.ts";
import { type RequestContent, requireFewMembers } from "./read-request.ts";
import { readCard } from "./senders/card.ts";
import { discordMessage, slackMessage } from "./senders/chat.ts";
import { readKnown } from "./senders/known.ts";

type HookInput = Pick<RequestContent, "body" | "text" | "files"> & {
  readonly query: Readonly<Record<string, string>>;
  /** Only of a whole request. */
  readonly push?: PushContent | undefined;
};

/** Result of a preset's hook; mappings see it as `parsed`. */
export function parsedBy(
  hook: LoadedPreset["hook"],
  { body, text, files, query, push }: HookInput,
  maxMembers: number,
): unknown {
  switch (hook) {
    case "slack":
      return slackMessage(objectOf(body) ?? { text });
    case "discord":
      return discordMessage(objectOf(body) ?? { content: text }, files);
    case "sns":
      return snsContent(objectOf(body), maxMembers);
    case "known":
      return withHints(
        statedIn(body, query),
        readCard(body) ?? readKnown(body) ?? (push ? readPush(push) : null) ?? xmlIn(body, text),
        body,
      );
    case "described":
      return describedBy(body, text);
    default:
      return null;
  }
}

/** Any body in words; its digest tells its news from others, and keeps its members out of keys. */
function describedBy(body: unknown, text: string | null) {
  const { title, message, link } = describeBody(body);
  return { title, message, link, digest: sha256Hex(JSON.stringify(body ?? text)).slice(0, 32) };
}

/** Members in which senders name the state of a problem. */
const STATES = ["status", "state", "current_state", "alert_state"] as const;
/** Priorities of programs that count to 5, such as ntfy. */
const URGENT_NUMBERS: ReadonlyMap<string, Level> = new Map([
  ["4", "error"],
  ["5", "fatal"],
]);

/** What the usual members and parameters say, by the words of the vocabulary. */
function statedIn(body: unknown, query: Readonly<Record<string, unknown>>) {
  const own = objectOf(body) ?? {};
  const given = wordIn([...STATES.map((name) => own[name]), query["status"], query["state"]]);
  // Such a body of OnCall is of a problem that fires.
  const state = given ?? ((own["alert_uid"] ?? null) === null ? null : "alerting");
  const priority = wordIn([own["priority"], query["priority"]]) ?? "";
  return {
    state,
    known: stateOf(state ?? "") ?? stateOf(stateTextIn(body) ?? ""),
    urgent: URGENT_NUMBERS.get(priority) ?? levelOfPriority(priority),
  };
}

/** The first value in lower case; null if it is no word. */
function wordIn(values: readonly unknown[]): string | null {
  const value = values.find((each) => each !== undefined && each !== null && each !== "");
  const isWord = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
  return isWord ? String(value).toLowerCase() : null;
}

function stateTextIn(body: unknown): string | null {
  return STATES.map((name) => textIn(objectOf(body), name)).find((each) => each !== null) ?? null;
}

/**
 * Beside what is read, what helps a mapping that finds usual names only. A body that is read by these alone is not
 * understood.
 */
function withHints(stated: object, read: object | null, body: unknown): object {
  if (read !== null || typeof body !== "object" || body === null) return { ...stated, ...read };
  let known: BodyDescription | undefined;
  const described = () => (known ??= describeBody(body));
  const what = IS_TEST.test(stateTextIn(body) ?? "") ? described().what : null;
  // Read when a mapping reads it: most bodies have the usual names.
  const hints = {
    get word() {
      const { word, state } = described();
      return state === null ? null : word;
    },
    get reason() {
      return described().reason;
    },
    get page() {
      return described().link;
    },
    get subject() {
      return described().subject;
    },
  };
  return Object.assign(hints, stated, what === null ? {} : { title: `Test: ${what}` });
}

/** `⚠️ Test`, the state that Uptime Kuma's button Test has. */
const IS_TEST = /^[^\p{L}\p{N}]{0,8}test[^\p{L}\p{N}]{0,8}$/iu;

const MAX_XML = 16_384;

/** The title of XML, such as Apprise's: its first text that has a letter. */
function xmlIn(body: unknown, text: string | null): object | null {
  if (body !== null || text === null || !/^\s{0,20}<\?xml\b/.test(text)) return null;
  const lines = plainText(startOf(text, MAX_XML)).split("\n");
  return { title: lines.find((line) => /\p{L}/u.test(line)) };
}

/** A notification's text, as JSON if it is. */
function snsContent(body: Members | undefined, maxMembers: number): unknown {
  const message = textIn(body, "Message");
  if (message === null) return null;
  requireFewMembers(message, maxMembers);
  try {
    return parseWithLongIntegers(message);
  } catch {
    return message;
  }
}

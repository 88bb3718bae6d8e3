import * as v from "valibot";
import type { ModuleChannel } from "../../module/module-api.ts";

/**
 * A preset describes how to send to one service, as data: requests with templates in them, and
 * tables that read the answers. Presets are plain JSON, so operators add or replace them with files.
 * docs/channels.md describes every member.
 *
 * Templates: `{{ path | filter | filter:arg }}`. Roots: `n` (the message),
 * `field` (the channel's fields), `ref` (ids kept from an earlier answer), `id` (the id of the
 * delivery, equal in every attempt), `key` (the preset's `key`), `ms` and `s` (the time now),
 * `sign` (the preset's `sign`).
 */

const NAME = /^[a-z][a-z0-9-]{1,39}$/;
const FIELD = /^[a-zA-Z][a-zA-Z0-9_]{0,39}$/;
const MAX_TEXT = 20_000;
const MAX_DEPTH = 24;

const text = v.pipe(v.string(), v.maxLength(MAX_TEXT));
const title = v.pipe(v.string(), v.minLength(1), v.maxLength(200));

/** Any JSON value. The sender gives members with `$` a meaning, see docs/channels.md. */
export type Tree = string | number | boolean | null | readonly Tree[] | { readonly [member: string]: Tree };

const tree = v.custom<Tree>((value) => isTree(value, 0), "must be a JSON value of at most 24 levels");

function isTree(value: unknown, depth: number): boolean {
  if (depth > MAX_DEPTH) return false;
  if (typeof value === "string") return value.length <= MAX_TEXT;
  if (value === null || typeof value === "number" || typeof value === "boolean") return true;
  if (typeof value !== "object") return false;
  return Object.values(value).every((each) => isTree(each, depth + 1));
}

/** `200`, `"2xx"`, or a list of them. */
const oneStatus = v.union([v.pipe(v.number(), v.integer()), v.pipe(v.string(), v.regex(/^[1-5]xx$/))]);
const status = v.union([oneStatus, v.array(oneStatus)]);

/** Conditions on an answer; all that are present must hold. */
const match = {
  status: v.optional(status),
  /** `$.a.b[0]` in a JSON answer, or `header:name`. Alone: present and not null, false or empty. */
  path: v.optional(text),
  /** With `path`: its value as text is one of these. */
  equals: v.optional(v.union([v.string(), v.number(), v.boolean(), v.array(v.union([v.string(), v.number()]))])),
  /** With `path`: it is missing, null, false or empty. */
  absent: v.optional(v.literal(true)),
  /** Regular expression over the first 2 KiB of the answer, ignoring case. */
  text: v.optional(v.pipe(text, v.check(isRegExp, "must be a regular expression"))),
};

/** The step of a message's life that a request makes. */
export const STEPS = ["send", "update", "thread", "acknowledge", "resolve", "remove"] as const;

export type SendingStep = (typeof STEPS)[number];

/**
 * Meaning of an answer. `ok`: accepted. `wait`: send again after the time that it names. `retry`:
 * with backoff. `dead`: this message is refused. `refused`: every message is, because of the
 * credentials, the address or the room; a person may mend that. `gone`: the service's own documented
 * word that the address no longer exists, which disables the channel; a status alone is no word.
 * `shorten`: once again with half the text. `plain`: once again with the request `plain`. `resend`:
 * the message to update is missing, so it is sent as a new one.
 */
export const CLASSES = ["ok", "wait", "retry", "dead", "refused", "gone", "shorten", "plain", "resend"] as const;

export type OutcomeClass = (typeof CLASSES)[number];

/** `disable`: the earlier name of `refused`, from the time when such an answer disabled the channel. */
const outcomeClass = v.pipe(
  v.picklist([...CLASSES, "disable"]),
  v.transform((name): OutcomeClass => (name === "disable" ? "refused" : name)),
);

const okRow = v.strictObject({ ...match, for: v.optional(v.array(v.picklist(STEPS))) });

const errorRow = v.strictObject({
  ...match,
  for: v.optional(v.array(v.picklist(STEPS))),
  class: outcomeClass,
  /**
   * With `wait`, the first that is present: `$.retry_after` or `header:retry-after`, in seconds or
   * followed by ` ms`, ` epoch` (seconds) or ` epoch-ms`; or a constant such as `60s`.
   */
  after: v.optional(v.array(text)),
  /** Shown to the owner: what to do about it. */
  hint: v.optional(text),
  /** Fields that take a new value from the answer; the message is sent again at once. */
  set: v.optional(v.record(v.string(), text)),
});

const requestTemplate = v.strictObject({
  method: v.optional(v.picklist(["GET", "POST", "PUT", "PATCH", "DELETE"]), "POST"),
  /** Placeholders are percent-encoded, except those of fields of type `url`. */
  url: text,
  /** Members of the query; as with every member, a name that ends in `?` drops an empty value. */
  query: v.optional(v.record(v.string(), text)),
  headers: v.optional(v.record(v.string(), text)),
  /** Further headers, one `Name: value` a line, from a field. */
  headerLines: v.optional(text),
  /** Header `Authorization`. */
  auth: v.optional(v.union([v.strictObject({ bearer: text }), v.strictObject({ basic: v.strictTuple([text, text]) })])),
  /** `text`: the body is one string. Default `json`. */
  type: v.optional(v.picklist(["json", "form", "text"]), "json"),
  contentType: v.optional(text),
  /** Strings in it are templates. `"@send"` is the body of `send`. */
  body: v.optional(tree),
});

const field = v.strictObject({
  key: v.pipe(v.string(), v.regex(FIELD)),
  title,
  /** Sealed in the database and never shown again. */
  secret: v.optional(v.boolean(), false),
  type: v.optional(v.picklist(["text", "url", "number", "choice", "long"]), "text"),
  choices: v.optional(v.array(v.string())),
  /** Regular expression that the whole value fits. */
  pattern: v.optional(v.pipe(text, v.check(isRegExp, "must be a regular expression"))),
  /** Shown when the value does not fit, and beside the field. */
  hint: v.optional(text),
  required: v.optional(v.boolean(), true),
  default: v.optional(text),
  example: text,
});

export const GROUPS = ["chat", "push", "paging", "sms", "relay", "generic"] as const;

const preset = v.strictObject({
  name: v.pipe(v.string(), v.regex(NAME)),
  title,
  group: v.picklist(GROUPS),
  /** Whether many messages that wait may be sent as one summary; default: chats and SMS. */
  foldable: v.optional(v.boolean()),
  /** Whether a message rings or costs: it is repeated a few times only; default: SMS and calls. */
  rings: v.optional(v.boolean()),
  /** Page in docs/integrations, without `.md`. */
  docs: v.pipe(v.string(), v.regex(NAME)),
  /** Three lines: how to set it up. */
  setup: v.pipe(v.array(title), v.length(3)),
  fields: v.pipe(v.array(field), v.maxLength(20)),
  send: requestTemplate,
  /** Changes the sent message. */
  update: v.optional(requestTemplate),
  /** Replies to the sent message. */
  thread: v.optional(requestTemplate),
  /** For services that know alerts: by `key`, without a ref. */
  acknowledge: v.optional(requestTemplate),
  resolve: v.optional(requestTemplate),
  remove: v.optional(requestTemplate),
  /** `send` without markup, after an answer of class `plain`. */
  plain: v.optional(requestTemplate),
  /** An answer is accepted if one row fits. */
  ok: v.pipe(v.array(okRow), v.minLength(1)),
  /** Kept after `send`, for `ref.<name>`: path in the answer, as in `path`. */
  ref: v.optional(v.record(v.string(), text)),
  /** The first row that fits; the defaults of docs/channels.md follow. */
  errors: v.optional(v.array(errorRow), []),
  /** Longest text by path in the body, such as `embeds.0.title`; `*` is any index. */
  cut: v.optional(v.record(v.string(), v.pipe(v.number(), v.integer(), v.minValue(1))), {}),
  /** Of `cut` and `maxText`. `gsm`: septets of an SMS, 160 or 153 each. */
  unit: v.optional(v.picklist(["utf16", "codepoints", "bytes", "gsm"]), "codepoints"),
  /** Whether `cut` counts the text before or after escaping. */
  counts: v.optional(v.picklist(["plain", "escaped"]), "plain"),
  /** Limit of all texts of the body together. */
  maxText: v.optional(v.number()),
  /** Limit of the whole body. */
  maxBytes: v.optional(v.number()),
  /** Paths of optional parts, dropped in this order while the body is too large. */
  drop: v.optional(v.array(text), []),
  /** Per channel. */
  rate: v.strictObject({ perSecond: v.pipe(v.number(), v.minValue(0.001)), burst: v.pipe(v.number(), v.minValue(1)) }),
  /** The service's key of a message, as `{{ key }}`; default: the message's own. */
  key: v.optional(text),
  /** HMAC-SHA-256 as `{{ sign }}`, base64 unless said; empty while the path `when` has no value. */
  sign: v.optional(
    v.strictObject({
      key: text,
      text: text,
      encoding: v.optional(v.picklist(["base64", "hex"]), "base64"),
      when: v.optional(text),
    }),
  ),
  /**
   * Fixed hosts, `*.example.com` for those under a name. Such a preset gets an optional field
   * `api`: another base URL, for proxies and tests. Without: the channel's fields name the host.
   */
  hosts: v.optional(v.array(text)),
  /** Mentions made harmless in the message's texts: `@all` (`at`), `<!channel>` (`angle`). */
  mentions: v.optional(v.picklist(["at", "angle"])),
  /** Whether the channel's own `template.request` replaces `send`. */
  custom: v.optional(v.boolean(), false),
  /** Answers of the service for tests, in files for earlier versions; not read. */
  recorded: v.optional(v.unknown()),
});

/** A preset as written in a file. */
export type ChannelPreset = v.InferInput<typeof preset>;
/** A preset with its defaults. */
export type Preset = v.InferOutput<typeof preset> & {
  /** Sends in place of the requests: a channel of a module. */
  readonly code?: ModuleChannel["send"];
};

export type PresetField = Preset["fields"][number];
export type ErrorRow = Preset["errors"][number];
export type OkRow = Preset["ok"][number];
export type RequestTemplate = v.InferOutput<typeof requestTemplate>;

/** A request as a channel has it itself. @throws ValiError */
export function requestOf(input: unknown): RequestTemplate {
  return v.parse(requestTemplate, input);
}

/** Rows of `errors` as a channel has them itself. @throws ValiError */
export function errorRowsOf(input: unknown): Preset["errors"] {
  return v.parse(v.array(errorRow), input);
}

/** @throws ValiError */
export function readPreset(input: unknown): Preset {
  return v.parse(preset, input);
}

function isRegExp(source: string): boolean {
  try {
    return new RegExp(source) instanceof RegExp;
  } catch {
    return false;
  }
}

/** Whether a message of the service rings or costs. @param fields of the channel, which may say so (`http`) */
export function ringsOf(
  { group, rings = group === "sms", custom }: Pick<Preset, "group" | "rings" | "custom">,
  fields: Readonly<Record<string, string>>,
): boolean {
  return rings || (custom && fields["rings"] === "on");
}

import * as v from "valibot";

/**
 * A preset says how requests of one sender are verified, read and answered. Presets are data: the
 * built-in ones are in `presets/`, further ones in `<dataDir>/presets/receivers/*.json`.
 *
 * Every text of a mapping is one of
 * - a constant: `github.push`
 * - a template with placeholders: `{{ body.repository.full_name }}: {{ body.action | upper }}`
 * - an expression of the rule language after `=`: `= body.state == 'ok' ? 'resolved' : 'firing'`
 *
 * They read these names (a missing member is null):
 * - `body`: the parsed body: JSON, the `payload` or `payload_json` of a form, else the form
 * - `text`: the body as text, up to 64 KiB; of a form its members as JSON
 * - `headers`, `query`, `form`: objects of texts; header names are lower case
 * - `files`: `{name, filename, type, bytes}` of each file of a multipart body
 * - `method`: of the request
 * - `item`: the element of `split`; null without it
 * - `receiver`: `{id, name, labels}`
 * - `parsed`: what the preset's `hook` made of the request
 * - `parts`: the objects of a list, at the top or as the only list within a body; as `split` each of them is
 *   read as a body of its own
 * - the names in `let`
 */
const text = (length: number, description: string) =>
  v.pipe(v.string(), v.maxLength(length), v.description(description));

/** An expression has at most 4096 characters; so has any other text of a mapping. */
const value = (description: string) => v.optional(v.nullable(text(4096, description)));
const name = v.pipe(
  v.string(),
  v.regex(/^[a-zA-Z_][a-zA-Z0-9_]{0,63}$/, "must be a name of letters, digits and _"),
  // It would be read as the event of a condition.
  v.notValue("event", "must not be event"),
);
const labelName = v.pipe(v.string(), v.minLength(1), v.maxLength(128));

const FIELDS = {
  type: value("Type of the event, such as github.push. Default: <preset>.<status>"),
  level: value("info, warning, error, critical, or a usual synonym (debug, notice, high, fatal, P1 …). Default: info"),
  title: value("One line. Default: the name of the receiver"),
  message: value("Text"),
  key: value("The same for all states of one problem. Without a key there is no alert"),
  status: value("firing (or alerting), resolved (or ok), acknowledged or event. Default: event"),
  time: value("When it happened: RFC 3339, or seconds or milliseconds since 1970. Default: now"),
  startsAt: value("Start of the alert, as time"),
  endsAt: value("End of the alert, as time; one in the future resolves it then"),
  link: value("URL for people"),
  source: value("Source of the event. Default: the name of the receiver"),
  labels: v.optional(
    v.pipe(
      v.record(labelName, v.nullable(text(4096, "Text of the label"))),
      v.check((record) => Object.keys(record).length <= 64, "must have at most 64 members"),
      v.description("Texts by name. The name * is an expression of an object: its members are labels"),
    ),
  ),
  annotations: v.optional(
    v.pipe(
      v.record(labelName, v.nullable(text(4096, "Text of the annotation"))),
      v.check((record) => Object.keys(record).length <= 32, "must have at most 32 members"),
      v.description("Texts by name, for alerts; summary and description are the title and the message"),
    ),
  ),
  payload: value("Expression of an object: the payload of the event. Default: the fields above and the body"),
} as const;

const OUTPUTS = ["events", "alerts", "both"] as const;
const output = v.pipe(
  v.picklist(OUTPUTS),
  v.description(
    "events: an event each. alerts: an alert each; one without key or status is an event. both: an alert and an event",
  ),
);

/** Overrides of the members above for items whose `when` is true. */
const mappingCase = v.strictObject({
  when: text(4096, "Condition of the rule language, with or without ="),
  skip: v.optional(v.pipe(v.boolean(), v.description("Such an item is not stored"))),
  output: v.optional(output),
  ...FIELDS,
});

export const mappingSchema = v.strictObject({
  let: v.optional(
    v.pipe(
      v.record(name, text(4096, "Text of the name")),
      v.check((record) => Object.keys(record).length <= 16, "must have at most 16 members"),
      v.description('Names for values, in order; such as {alarm: "= parseJson(body.Message)"}'),
    ),
  ),
  split: value("Path of a list, such as body.alerts: each element is an item of its own. Not a list: the whole body"),
  when: value("Condition: an item for which it is not true is ignored"),
  output: v.optional(output),
  ...FIELDS,
  cases: v.optional(
    v.pipe(v.array(mappingCase), v.maxLength(64), v.description("The first one that applies overrides members above")),
  ),
});

const header = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/, "must be a header's name in lower case"),
  v.description("Name of a header in lower case"),
);
const parts = v.pipe(v.array(v.pipe(v.string(), v.maxLength(100))), v.minLength(1), v.maxLength(12));

/** Where a signature is, and over what it is made. */
const SIGNED = {
  header,
  prefix: v.optional(text(30, "Of each signature in the header, such as sha256= or v1,")),
  separator: v.optional(text(3, "Between several signatures in the header")),
  encoding: v.pipe(v.picklist(["hex", "base64"]), v.description("Of the signature")),
  signed: v.pipe(parts, v.description("Joined: {body}, {ts}, {id} or constants. Default: {body}")),
  timestampHeader: v.optional(v.pipe(header, v.description("{ts} is its value"))),
  timestampPrefix: v.optional(text(30, "{ts} is the element of the signature header with this prefix, such as t=")),
  idHeader: v.optional(v.pipe(header, v.description("{id} is its value, and the id against replays"))),
  allowRepeats: v.optional(
    v.pipe(v.boolean(), v.description("Equal requests are stored each time: the body has neither id nor time")),
  ),
  toleranceS: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1),
      v.maxValue(86_400),
      v.description("Age of {ts} in seconds; default 300"),
    ),
  ),
} as const;

/** How a request proves that its sender knows the receiver's secret. */
export const verifyRow = v.variant("scheme", [
  v.strictObject({
    scheme: v.pipe(v.literal("hmac"), v.description("A signature with a shared secret")),
    ...SIGNED,
    algorithm: v.pipe(v.picklist(["sha1", "sha256", "sha512"]), v.description("Of the HMAC")),
    keyForm: v.pipe(
      v.picklist(["text", "whsec"]),
      v.description("text: the bytes of the secret. whsec: base64 after whsec_, as Standard Webhooks has it"),
    ),
  }),
  v.strictObject({
    scheme: v.pipe(v.literal("ed25519"), v.description("A signature with a public key")),
    ...SIGNED,
    keyForm: v.pipe(
      v.picklist(["hex", "whpk"]),
      v.description("The secret is the public key: hex, or base64 after whpk_"),
    ),
  }),
  v.strictObject({
    scheme: v.pipe(v.literal("header"), v.description("The secret in a header")),
    header,
    prefix: v.optional(text(30, "Before the secret")),
  }),
  v.strictObject({
    scheme: v.pipe(v.literal("query"), v.description("The secret in the query")),
    name: text(64, "Name of the query parameter"),
  }),
  v.strictObject({
    scheme: v.pipe(v.literal("form"), v.description("The secret as a member of the form or the JSON body")),
    name: text(64, "Name of the form's or the JSON body's member"),
  }),
  v.strictObject({
    scheme: v.pipe(
      v.literal("credential"),
      v.description("Basic (the password), Bearer, X-Api-Key, X-Token, ?token= or ?access_token="),
    ),
  }),
  v.strictObject({ scheme: v.pipe(v.literal("twilio"), v.description("Twilio's signature of the URL and the form")) }),
  v.strictObject({
    scheme: v.pipe(v.literal("sns"), v.description("Amazon's certificate; the secret is the topic's ARN")),
  }),
]);

const answerSchema = v.strictObject({
  status: v.pipe(v.number(), v.integer(), v.minValue(200), v.maxValue(299)),
  type: v.optional(text(100, "Content-Type")),
  body: v.optional(text(1000, "Body")),
});

export const presetSchema = v.strictObject({
  name: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,39}$/, "must be lower-case letters, digits and dashes")),
  title: text(80, "Name of the sender"),
  group: v.picklist(["monitoring", "platforms", "formats", "chat", "generic"]),
  docs: text(60, "Name of its page in docs/integrations/, without .md"),
  secret: v.pipe(
    v.picklist(["none", "optional", "required"]),
    v.description("Whether a receiver has a secret besides its URL"),
  ),
  secretTitle: v.optional(text(80, "What the sender calls the secret")),
  setup: v.pipe(v.array(text(300, "One step; {url} is the receiver's URL")), v.length(3)),
  methods: v.pipe(v.array(v.picklist(["POST", "PUT", "GET"])), v.minLength(1)),
  verify: v.pipe(
    v.array(verifyRow),
    v.maxLength(8),
    v.description("If the receiver has a secret, one of these must hold: the first one whose header is present"),
  ),
  replayId: v.optional(text(300, "Text of a mapping: the sender's id of the delivery. A repeated one is not stored")),
  redact: v.optional(
    v.pipe(
      v.array(v.pipe(v.string(), v.maxLength(100))),
      v.maxLength(20),
      v.description("Members to mask, besides secrets"),
    ),
  ),
  shape: v.optional(
    v.pipe(
      v.array(v.array(text(200, "A path within body or headers, path=text, or !path"))),
      v.maxLength(8),
      v.description("Forms of bodies that the preset generic hands to this mapping: each of one list must hold"),
    ),
  ),
  hook: v.optional(
    v.pipe(
      v.picklist(["slack", "discord", "sns", "known", "described"]),
      v.description("Code that makes `parsed` of the request"),
    ),
  ),
  handshake: v.optional(
    v.pipe(v.picklist(["slack", "meta", "graph"]), v.description("The sender checks the URL in this way")),
  ),
  mapping: mappingSchema,
  answer: v.optional(answerSchema),
  errors: v.optional(v.pipe(v.picklist(["slack", "discord"]), v.description("Form of refusals"))),
  sample: v.strictObject({
    method: v.optional(v.picklist(["POST", "PUT", "GET"])),
    query: v.optional(text(2000, "Query, without ?")),
    headers: v.optional(v.record(header, text(1000, "Value"))),
    contentType: v.optional(text(100, "Default: application/json")),
    body: v.pipe(v.unknown(), v.description("A text as it is sent, or a JSON value")),
  }),
});

/** Data of a preset, as authors write it. */
export type ReceiverPreset = v.InferInput<typeof presetSchema>;
export type Mapping = v.InferOutput<typeof mappingSchema>;
export type VerifyRow = v.InferOutput<typeof verifyRow>;
export type PresetAnswer = v.InferOutput<typeof answerSchema>;

import { sha256Hex } from "../../../../../src/core/crypto/tokens.ts";
import { noticeOf } from "../../../../../src/features/channels/notice.ts";
import { compile, render } from "../../../../../src/features/channels/templates/template.ts";
import { compileTemplate, compileText, valuesOf } from "../../../../../src/features/rules/language/language.ts";
import { makeEvent, withPayload } from "./event.ts";

/** A template with what it makes of each of the values below, or why it is refused. */
export interface StoredTemplate {
  readonly place: "rule" | "receiver" | "channel";
  readonly source: string;
  readonly texts?: readonly string[];
  readonly refused?: string;
}

const HOSTILE = "\"q\" 's' \\b <b>x</b> & {{ field.token }} ` * _ [a](http://x) @all\nsecond  line 👩‍👩‍👧‍👦 \ud800";

const EVENTS = [
  makeEvent({
    payload: JSON.parse(`{"host":"db-1","orderId":17,"amount":1500.5,"currency":"CHF","reason":"card","country":"CH",
      "service":"shop","seconds":30,"mount":"/","a":{"b":[1,null]},"n":1e21,"text":"","key":"k","name":"Zoë",
      "payload":{"x":1},"order":false,"note":"${"long ".repeat(900)}","when":"2026-01-31T09:15:00+01:00","ms":1769847300250}`),
  }),
  withPayload(JSON.stringify({ host: HOSTILE, reason: null, amount: "12", orderId: "" })),
];

const BODY = {
  id: 3,
  text: HOSTILE,
  title: "Title",
  action: "opened",
  p: [1, { q: null }],
  repository: { repo_name: "a/b" },
};
const VALUES = [
  {
    body: BODY,
    headers: { "x-ups": "ups1", "x-github-event": "push" },
    item: { name: "n", labels: { alertname: "Up" } },
  },
  { body: null, headers: {}, item: null },
];
const NAMES = new Set(["body", "headers", "item", "name", "receiver"]);

const NOTICE = {
  title: "Disk almost full",
  message: "db-1 has 2 % left\nsince 12:00",
  severity: "critical",
  status: "firing",
  priority: 800,
  key: "incident:0190",
  atMs: Date.UTC(2026, 0, 31, 8, 15),
  url: "https://prism.example.com/dashboard/incidents/0190",
  ackUrl: "https://prism.example.com/account/acknowledge?token=t",
  facts: [{ title: "host", value: "db-1" }],
  project: "Shop",
} as const;
const fields = { url: "https://example.com/base/", token: "t:/k", room: "#room", phone: "+41790000000" };
const SCOPES = [
  {
    n: noticeOf(NOTICE),
    field: fields,
    ref: { id: "r1", ts: "1.5" },
    id: "0190",
    ms: 1769847300250,
    s: 1769847300,
    key: "k",
  },
  {
    n: noticeOf({
      ...NOTICE,
      title: HOSTILE,
      message: `${HOSTILE}${" more".repeat(60)}`,
      facts: [{ title: HOSTILE, value: HOSTILE }],
    }),
    field: { token: HOSTILE },
    ref: {},
    item: { title: HOSTILE, value: "v" },
    index: 3,
    id: "2026-01-31",
    key: "",
  },
  { n: noticeOf({ severity: "info", status: "event", priority: 0, title: "T", message: "", key: "", atMs: 0 }) },
];
const LIMITS = [
  { limit: 40, unit: "codepoints", counts: "plain" },
  { limit: 60, unit: "bytes", counts: "escaped" },
] as const;

/** What a template of a place makes now. */
export function textsOf({ place, source }: StoredTemplate): StoredTemplate {
  try {
    return { place, source, texts: RENDER[place](source).map((text) => shown(text)) };
  } catch (error) {
    return { place, source, refused: error instanceof Error ? error.message : String(error) };
  }
}

/** The start of a long text, and what it changes with. */
function shown(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 60)}… ${sha256Hex(text).slice(0, 8)}`;
}

const RENDER: Readonly<Record<StoredTemplate["place"], (source: string) => string[]>> = {
  rule: (source) => {
    const template = compileTemplate(source, "messageTemplate");
    return EVENTS.flatMap((event) => [template.render(event, 4000), template.render(event, 12)]);
  },
  receiver: (source) => {
    const text = compileText(source, "mapping.title", NAMES);
    return VALUES.map((values) => String(text(valuesOf(values, 0))));
  },
  channel: (source) => {
    const template = compile(source);
    return SCOPES.flatMap((scope) => [
      render(template, scope).text,
      ...LIMITS.map((limit) => render(template, scope, { limit }).text),
    ]);
  },
};

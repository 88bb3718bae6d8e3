import type { Event } from "../../../src/client/api-types.gen.ts";
import { me } from "../../app/session.ts";
import type { Definition, Rule } from "./types.ts";

/** An edited rule in this tab, before it is saved. */
export interface RuleDraft {
  readonly definition: Definition;
  /** The version that the edits started from; null for a new rule. */
  readonly base: Rule | null;
}

const MEMBERS = [
  "name",
  "description",
  "projectId",
  "condition",
  "targetRoles",
  "targetUsers",
  "channels",
  "titleTemplate",
  "messageTemplate",
  "sound",
  "action",
  "priority",
  "active",
  "suppression",
  "dedupe",
  "cooldownMs",
] as const satisfies readonly (keyof Definition)[];

export type Member = (typeof MEMBERS)[number];

export const EMPTY: Definition = {
  name: "",
  description: "",
  projectId: null,
  condition: "",
  targetRoles: [],
  targetUsers: [],
  channels: ["in_app", "pusher", "fcm", "apns", "webpush", "service"],
  titleTemplate: null,
  messageTemplate: null,
  sound: null,
  action: null,
  priority: 0,
  active: true,
  suppression: null,
  dedupe: null,
  cooldownMs: 0,
};

/** The members of a rule that an author writes. */
export function definitionOf(source: Definition): Definition {
  return Object.fromEntries(MEMBERS.map((member) => [member, source[member]])) as unknown as Definition;
}

/** The members in which two definitions differ, in the order of the form. */
export function changedMembers(before: Definition, after: Definition): readonly Member[] {
  return MEMBERS.filter((member) => JSON.stringify(before[member]) !== JSON.stringify(after[member]));
}

/** The body of an update: changed members only, so that others keep what is stored. */
export function changesOf(before: Definition, after: Definition): Partial<Definition> {
  return Object.fromEntries(changedMembers(before, after).map((member) => [member, after[member]]));
}

/** Names of identifiers that a path can have after a dot (docs/rules.md). */
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
const KEYWORDS = new Set(["and", "or", "not", "in", "true", "false", "null"]);
const ENVELOPE = new Set([
  "id",
  "type",
  "source",
  "level",
  "projectId",
  "occurredAt",
  "receivedAt",
  "payload",
  "correlationId",
]);

/** The path of a member of the payload, as a condition writes it. */
export function payloadPath(...names: readonly string[]): string {
  const [first = ""] = names;
  // A member with the name of an envelope member is read through the payload.
  const start = ENVELOPE.has(first) ? "event.payload" : "event";
  return names.reduce((path, name) => path + stepOf(name), start);
}

function stepOf(name: string): string {
  return IDENTIFIER.test(name) && !KEYWORDS.has(name) ? `.${name}` : `[${quoted(name)}]`;
}

/** A string literal of the rule language. */
export function quoted(text: string): string {
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll("'", "\\'")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r")
    .replaceAll("\t", "\\t");
  return `'${escaped}'`;
}

const MAX_CLAUSES = 3;
const MAX_VALUE_LENGTH = 40;

/** Members that differ from event to event would make a rule that matches this one only. */
function isTelling(name: string, value: unknown): boolean {
  if (/id$|key$|token|time|date|_?at$|message|text|hash|trace/i.test(name)) return false;
  return typeof value === "string" && value.length > 0 && value.length <= MAX_VALUE_LENGTH && !/\d{3}/.test(value);
}

/** A first condition for events like this one: its type, its level, and the values that name a kind. */
function conditionFor(event: Event): string {
  const clauses = [`event.type == ${quoted(event.type)}`];
  if (event.level === "error" || event.level === "fatal") clauses.push(`event.level == ${quoted(event.level)}`);
  for (const [name, value] of Object.entries(event.payload)) {
    if (clauses.length >= MAX_CLAUSES) break;
    if (isTelling(name, value)) clauses.push(`${payloadPath(name)} == ${quoted(String(value))}`);
    else if (typeof value === "number" && !/id$/i.test(name)) clauses.push(`${payloadPath(name)} >= ${value}`);
    else if (value === true) clauses.push(`${payloadPath(name)} == true`);
  }
  return clauses.join("\nand ");
}

const URGENT = 500;

/** A rule for events like this one, to be changed by its author. */
export function definitionFrom(event: Event, role: string | undefined): Definition {
  return {
    ...EMPTY,
    name: sentenceOf(event.type),
    projectId: event.projectId,
    condition: conditionFor(event),
    targetRoles: role === undefined ? [] : [role],
    priority: event.level === "fatal" ? URGENT : 0,
  };
}

/** `payment.failed` → "Payment failed". */
function sentenceOf(type: string): string {
  const words = type.replaceAll(/[._-]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const PREFIX = "prism.rule-draft.";
const keyOf = (id: string): string => `${PREFIX}${me.peek()?.id}.${id}`;

/** The draft that this tab kept over a reload, if there is one. @param id of a rule, or `new` */
export function keptDraft(id: string): RuleDraft | null {
  try {
    return JSON.parse(sessionStorage.getItem(keyOf(id)) ?? "null") as RuleDraft | null;
  } catch {
    return null;
  }
}

export function keepDraft(id: string, draft: RuleDraft | null): void {
  try {
    if (draft === null) sessionStorage.removeItem(keyOf(id));
    else sessionStorage.setItem(keyOf(id), JSON.stringify(draft));
  } catch {
    // With a full storage the draft lives as long as the page.
  }
}

/** Drafts belong to their author, who may sign in again after the session has expired. */
export function removeDrafts(): void {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
}

import { signedTarget } from "../../../../test/helpers/pusher-rest.ts";
import { at, isObject, type Json, type JsonObject } from "./json.ts";
import type { Transcript } from "./transcript.ts";
import { PASSWORD, PUSHER, type World } from "./world.ts";

/** One request of a story. `{name}` in its texts stands for what an earlier step has saved. */
export interface Step {
  readonly title: string;
  /** Method and path. */
  readonly ask: string;
  readonly body?: Json;
  /** A form as `application/x-www-form-urlencoded`. */
  readonly form?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** A role, a membership, `key <scope>`, `basic`, or null for no credential; default: the administrator. */
  readonly as?: string | null;
  /** Names for members of the answer, by the way to them, or its `cookie`; a URL is saved without its origin. */
  readonly save?: Readonly<Record<string, readonly (string | number)[]>>;
  /** By the secret of the app, as Pusher's libraries do. */
  readonly isSigned?: boolean;
  /** Only status and headers are recorded. */
  readonly isHead?: boolean;
}

export type Values = Record<string, string>;

/** Credentials of the protocols that take a password: those of a user of the server. */
const BASIC = `Basic ${Buffer.from(`user:${PASSWORD}`).toString("base64")}`;

/** Records the steps in their order. @returns what they have saved */
export async function tell(
  world: World,
  transcript: Transcript,
  title: string,
  steps: readonly Step[],
  values: Values = {},
): Promise<Values> {
  transcript.section(title);
  Object.assign(values, { shop: world.shop, dev: world.adminId, outside: world.outside, ...values });
  for (const step of steps) await take(world, transcript, step, values);
  return values;
}

async function take(
  { talk, tokens, keys, now }: World,
  transcript: Transcript,
  step: Step,
  values: Values,
): Promise<void> {
  const { as, form } = step;
  const [method = "", ...rest] = put(step.ask, values).split(" ");
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(step.headers ?? {})) headers[name] = put(value, values);
  if (form) headers["Content-Type"] ??= "application/x-www-form-urlencoded";
  if (as?.startsWith("key ")) headers["X-API-Key"] = keys[as.slice(4)] ?? "";
  if (as === "basic") headers["Authorization"] = BASIC;
  const token = as === null ? null : as === undefined ? undefined : tokens[as];
  const body = form
    ? new URLSearchParams(
        Object.fromEntries(Object.entries(form).map(([name, value]) => [name, put(value, values)])),
      ).toString()
    : within(step.body, values);
  const target = rest.join(" ");
  const path = step.isSigned ? signed(method, target, body, now()) : target;
  // What is read may still be under way.
  if (method === "GET" && talk.isPatient) await talk.settle();
  const answer = await talk.record(
    transcript,
    step.title,
    { method, path, headers, body, ...(token === undefined ? {} : { token }) },
    !step.isHead,
  );
  for (const [name, way] of Object.entries(step.save ?? {})) {
    const isCookie = way[0] === "cookie";
    const found = isCookie ? answer.headers.get("set-cookie")?.split(";")[0] : at(answer.body, ...way);
    values[name] = String(found ?? "none").replace(/^https?:\/\/[^/]+/, "");
  }
}

function signed(method: string, target: string, body: Json | undefined, now: number): string {
  const [path = "", query] = target.split("?");
  const text = body === undefined ? {} : { body: JSON.stringify(body) };
  return signedTarget(PUSHER, path, {
    method,
    at: now,
    query: Object.fromEntries(new URLSearchParams(query)),
    ...text,
  });
}

function put(text: string, values: Values): string {
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}

function within(value: Json | undefined, values: Values): Json | undefined {
  if (typeof value === "string") return put(value, values);
  if (Array.isArray(value)) return value.map((each: Json) => within(each, values) as Json);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, within(each, values)])) as JsonObject;
}

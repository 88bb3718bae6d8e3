import { ServerRefused } from "../../core/command-error.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, toRfc3339 } from "../../core/time/clock.ts";
import type { Page, ServerClient } from "../server-client.ts";
import { counted, type NewEvent, type SeededKind, type SeedFill, until } from "./fill.ts";
import type { PastTable } from "./past.ts";
import { ADMIN, demoFile, plainEvents, type SeedAmounts } from "./samples.ts";

/** The demo of `prism seed`: examples/demo.json. */
export interface DemoTable {
  readonly steps: readonly Step[];
  readonly respond: {
    readonly policies: readonly DemoPolicy[];
    readonly office: { readonly name: string };
    readonly inhibition: object;
    readonly route: { readonly matchers: readonly string[] };
    readonly contactRules: object;
    readonly incidents: readonly DemoIncident[];
    /** They pass the rule about checkouts. */
    readonly checkouts: readonly NewEvent[];
  };
  readonly past: PastTable;
  /** Notes of acknowledgements. */
  readonly notes: readonly string[];
}

export interface DemoPolicy {
  readonly name: string;
  readonly repeat?: number;
  readonly steps: readonly {
    readonly type: string;
    readonly ms?: number;
    readonly users?: readonly string[];
    readonly roles?: readonly string[];
    /** By name. */
    readonly schedules?: readonly { readonly id: string }[];
  }[];
}

interface DemoIncident {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** One alert each; none: a rule opens it. */
  readonly instances: readonly string[];
  readonly summary?: string;
  readonly startedMs?: number;
  readonly act?: { readonly action: string; readonly durationMs?: number; readonly note: string };
  /** Who acts; default the administrator. */
  readonly by?: string;
  readonly notes?: readonly string[];
  readonly isOver?: boolean;
}

type Body = Readonly<Record<string, unknown>>;

/** A member of an answer. */
interface Check {
  readonly at: string;
  readonly member: string;
  readonly in?: readonly unknown[];
  readonly notIn?: readonly unknown[];
  readonly atLeast?: number;
}

/**
 * `{name}` is a variable, a member of the item or of its answer, `{url:path}` the path of a URL,
 * `$name` a variable that is a list, `@-3h` and `@hour+2d` a time from now or from this hour.
 */
interface Request {
  /** Such as `POST /api/v1/rules`. It is left out when a variable has no value. */
  readonly do?: string;
  /** Default: the administrator. */
  readonly as?: string;
  readonly body?: Body;
  /** Once for each, as `{each}`. */
  readonly for?: readonly unknown[];
  /** Members of the answer become variables. */
  readonly keep?: true;
  readonly until?: Check;
  /** Members of this answer to the operator become variables before. */
  readonly read?: string;
}

/** One kind of things. A step without `make` is code. */
interface Step {
  readonly kind: string;
  readonly make?: string;
  readonly as?: string;
  /** So many of the items are also those of a plain seed. */
  readonly plain?: number;
  /** An item exists if an entry of this list has the same members `by`; default: `name`. */
  readonly list?: string;
  readonly by?: readonly string[];
  /** An item exists if this path answers. */
  readonly at?: string;
  /** An item exists if this is so. */
  readonly unless?: Check;
  /** All exist if this list has entries. */
  readonly ifEmpty?: string;
  /** Only with the demo projects: they cannot be found again. */
  readonly once?: true;
  /** Leaves the accounts of real people as they are. */
  readonly sparesPeople?: true;
  readonly refused?: { readonly code: string; readonly note: string };
  readonly items?: readonly {
    readonly body: Body;
    readonly as?: string;
    /** Variables of this item alone. */
    readonly with?: Body;
    readonly then?: readonly Request[];
    /** A member of the answer that the command prints. */
    readonly keeps?: "apiKey";
  }[];
  /** After each new item. */
  readonly then?: readonly Request[];
  /** After all, if there are new ones. */
  readonly after?: readonly Request[];
}

type Item = NonNullable<Step["items"]>[number];

export function demoTable(): DemoTable {
  return demoFile();
}

/** The things without which a server shows little. @param usernames of the existing accounts, `admin` first. */
export async function plainSeed(
  fill: SeedFill,
  { events, tasks }: SeedAmounts,
  usernames: readonly string[],
): Promise<SeededKind[]> {
  const wanted = plainEvents(events, Date.now());
  const walk = new DemoWalk(fill, {});
  const kinds: SeededKind[] = [];
  for (const step of demoTable().steps)
    if (step.plain !== undefined)
      kinds.push(await walk.step({ ...step, items: step.items?.slice(0, step.plain) ?? [] }));
  return [...kinds, await fill.tasks(tasks, usernames), counted("events", await fill.events(wanted))];
}

const TIME = /^@(hour)?([+-][\d.]+)(ms|m|h|d)$/;
const UNITS: Readonly<Record<string, number>> = { ms: 1, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS };

/** Walks the steps through the API. Existing items are not changed. */
export class DemoWalk {
  readonly #fill: SeedFill;
  readonly #variables: Body;
  /** The first key of the demo project; null for an existing project. */
  apiKey: string | null = null;

  constructor(fill: SeedFill, variables: Body) {
    this.#fill = fill;
    this.#variables = variables;
  }

  async step(step: Step): Promise<SeededKind> {
    const { kind, items = [], ifEmpty, after = [], once } = step;
    const isOff = (once && this.apiKey === null) || (ifEmpty !== undefined && !(await this.#isEmpty(ifEmpty)));
    const wanted = items.filter(({ as = ADMIN }) => this.#text(as, {}) !== null);
    const made = await this.#fill.each(kind, wanted, async (item) => !isOff && (await this.#one(step, item)));
    if (made.made > 0) for (const request of after) await this.#request(request, {});
    return made;
  }

  async #one(step: Step, item: Item): Promise<boolean> {
    const body = this.#filled(item.body, item.body) as Body;
    const own = { ...item.with, ...body };
    if (await this.#exists(step, own)) return false;
    const as = this.#text(item.as ?? step.as ?? ADMIN, body) ?? "";
    if (step.sparesPeople && this.#fill.isPerson(as)) return false;
    let answer: Body | null;
    try {
      answer = await this.#send(step.make ?? "", as, body, own);
    } catch (error) {
      if (!(error instanceof ServerRefused && error.code === step.refused?.code)) throw error;
      this.#fill.out.note(this.#text(step.refused.note, body) ?? "");
      return false;
    }
    if (item.keeps) this.apiKey = String(answer?.[item.keeps]);
    let known: Body = { ...own, ...answer };
    for (const request of [...(item.then ?? []), ...(step.then ?? [])]) known = await this.#request(request, known);
    return true;
  }

  async #exists({ list, by = ["name"], at, unless }: Step, body: Body): Promise<boolean> {
    const { operator } = this.#fill;
    if (unless) return this.#holds(unless, body);
    if (at !== undefined)
      return operator.get(this.#path(at, body) ?? "").then(
        () => true,
        (error: unknown) => {
          if (error instanceof ServerRefused && error.status === 404) return false;
          throw error;
        },
      );
    if (list === undefined) return false;
    if (by.length === 0) return !(await this.#isEmpty(list));
    const [path = "", query = ""] = (this.#path(list, body) ?? "").split("?");
    const isSame = (found: Body) => by.every((name) => JSON.stringify(found[name]) === JSON.stringify(body[name]));
    return this.#fill.has(path, Object.fromEntries(new URLSearchParams(query)), isSame);
  }

  async #isEmpty(list: string): Promise<boolean> {
    const { data } = await this.#fill.operator.get<Pick<Page<object>, "data">>(this.#path(list, {}) ?? "");
    return data.length === 0;
  }

  async #holds({ at, member, in: some, notIn, atLeast }: Check, known: Body): Promise<boolean> {
    const value = (await this.#fill.operator.get<Body>(this.#path(at, known) ?? ""))[member];
    if (atLeast !== undefined) return Number(value) >= atLeast;
    return some ? some.includes(value) : !notIn?.includes(value);
  }

  /** @returns the values known afterwards */
  async #request(request: Request, before: Body): Promise<Body> {
    const { read, do: call, as = ADMIN, body, for: each = [null], keep, until: check } = request;
    const found = read === undefined ? {} : await this.#fill.operator.get<Body>(read);
    const known = { ...before, ...found };
    if (check) await until(() => this.#holds(check, known));
    let answer: Body | null = null;
    for (const value of call === undefined ? [] : each) {
      const person = this.#text(as, known);
      const filled = body && (this.#filled(body, known) as Body | null);
      if (person !== null && filled !== null)
        answer = await this.#send(call ?? "", person, filled, { ...known, each: value });
    }
    return keep ? { ...known, ...answer } : known;
  }

  async #send(call: string, as: string, body: Body | undefined, known: Body): Promise<Body | null> {
    const [method = "", template = ""] = call.split(" ");
    const path = this.#path(template, known);
    if (path === null) return null;
    const client: ServerClient =
      as === "operator" && method === "POST" && path.includes("/operator/")
        ? this.#fill.operator
        : await this.#fill.as(as);
    if (method === "TONE")
      return client.upload(path, toneFile(Number(body?.["hz"])), { filename: String(body?.["filename"]) });
    return (
      ((await client.request({ method, path, ...(method === "GET" ? {} : { body }) })) as Body | undefined) ?? null
    );
  }

  /** A text with its variables; null when one has no value. */
  #text(template: string, known: Body, write: (value: string) => string = (value) => value): string | null {
    let isKnown = true;
    const text = template.replace(/\{(\w+)(:path)?\}/g, (_whole, name: string, path?: string) => {
      const value = known[name] ?? this.#variables[name];
      if (value === null || value === undefined) isKnown = false;
      return path ? new URL(String(value ?? "http://none"), "http://none").pathname : write(String(value));
    });
    return isKnown ? text : null;
  }

  #path(template: string, known: Body): string | null {
    return this.#text(template, known, encodeURIComponent);
  }

  /** A value of the table with its variables and times; null when a variable has no value. */
  #filled(value: unknown, known: Body): unknown {
    if (typeof value === "string")
      return value.startsWith("$") ? this.#variables[value.slice(1)] : (timeIn(value) ?? this.#text(value, known));
    if (Array.isArray(value)) return value.map((each) => this.#filled(each, known));
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(([name, each]) => [name, this.#filled(each, known), each] as const);
    if (entries.some(([, filled, given]) => filled === null && given !== null)) return null;
    return Object.fromEntries(entries.map(([name, filled]) => [name, filled]));
  }
}

function timeIn(text: string): string | null {
  const [, isHour, amount, unit = ""] = TIME.exec(text) ?? [];
  if (amount === undefined) return null;
  const now = isHour ? Math.floor(Date.now() / HOUR_MS) * HOUR_MS : Date.now();
  return toRfc3339(now + Number(amount) * (UNITS[unit] ?? 0));
}

/** A WAV file with 8 bit samples on one channel: a fading tone. */
function toneFile(hz: number): Buffer {
  const perSecond = 8000;
  const count = perSecond / 2;
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + count, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(perSecond, 24);
  head.writeUInt32LE(perSecond, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write("data", 36);
  head.writeUInt32LE(count, 40);
  const samples = Buffer.alloc(count);
  for (let at = 0; at < count; at++) {
    const wave = Math.sin((2 * Math.PI * hz * at) / perSecond);
    samples[at] = 128 + Math.round(100 * wave * (1 - at / count));
  }
  return Buffer.concat([head, samples]);
}

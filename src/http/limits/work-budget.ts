import { AsyncResource } from "node:async_hooks";
import type { Principal, Reader, ReplayBudget, Work } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import { Bucket } from "../../core/limits/bucket.ts";
import { type MetricLabels, type Metrics, topProjects } from "../../core/metrics.ts";
import { membersAtMost } from "../../core/text/json-text.ts";
import type { Clock } from "../../core/time/clock.ts";
import { addressGroup, coarseAddressGroup } from "../server/headers.ts";
import { RateLimiter } from "./rate-limiter.ts";

/** Milliseconds of work per second; operators set them (`work`). */
export interface WorkLimits {
  readonly projectMsPerSecond: number;
  readonly creatorMsPerSecond: number;
  readonly allMsPerSecond: number;
}

/** Microseconds of the main thread, measured (docs/decisions/budget.md). */
const COST = { read: 0.001, bytes: 0.008, members: 2, steps: 0.0125, rows: 40, found: 5, chunks: 0.4 } as const;

/** The time that counted work takes, in microseconds. */
export function microsOf(work: Work): number {
  let micros = 0;
  for (const name of COUNTED) micros += (work[name] ?? 0) * COST[name];
  return Math.ceil(micros);
}

const COUNTED = Object.keys(COST) as (keyof typeof COST)[];

/** Cost of receiving a body: JSON is parsed; a handler of raw bytes charges its own work. */
export function readWork(isRaw: boolean, bytes: number): Work {
  return isRaw ? { read: bytes } : { bytes };
}

/** Bodies of more members are refused by whatever parses them. */
const MAX_COUNTED = 200_000;

/** Cost of a body that a handler of raw bytes may parse; files are only stored. */
export function parsedWork(type: string, body: Buffer): Work {
  let start = 0;
  // JSON may begin with any number of spaces, tabs and line ends.
  while (start < body.length && (body[start] as number) <= 0x20) start++;
  const first = body[start];
  if (first !== 0x7b && first !== 0x5b && !/json|form|csv/i.test(type)) return {};
  return { bytes: body.length, members: membersAtMost(body, MAX_COUNTED) };
}

type Level = "address" | "url" | "project" | "creator";

/** Who pays for work: one bucket of each level, the smallest first. */
export interface WorkAccount {
  readonly projectId: string | null;
  readonly levels: readonly (readonly [level: Level, key: string])[];
  /**
   * The budget of all that it is part of. Senders that know a URL are `byUrl`; those that have proved
   * nothing are `unknown`.
   */
  readonly all: All;
}

type All = "known" | "byUrl" | "unknown" | "reads" | "exports" | "replays";

/** Why a payer is refused. */
export interface Debt {
  readonly account: WorkAccount;
  readonly level: Level | "all";
  readonly waitMs: number;
}

/** Use of a project's budget. */
export interface WorkUse {
  readonly usedMs: number;
  readonly refused: number;
  readonly left: number;
}

interface WorkParts {
  readonly clock: Clock;
  readonly metrics: Metrics;
  limits(): WorkLimits;
  /** The owner of a project; null if it has none. */
  ownerOf(projectId: string): string | null;
}

/** A full bucket holds the work of this time. */
const BURST_MS = 10_000;
/** The same of all who only know a URL: a thousand addresses must not fill seconds. */
const BURST_BY_URL_MS = 2000;
/** Share of a project's limit for one address before its sender is verified. */
const ADDRESS_SHARE = 1 / 4;
/** Share of the total limit for senders without a proof, or with only a URL: half. */
const SHARE_OF_ALL: Readonly<Record<All, number>> = {
  ...{ known: 1, byUrl: 1 / 2, unknown: 1 / 2 },
  ...{ reads: 1, exports: 1, replays: 1 },
};
/** Part of its own budget that is left to a payer who is not refused for the work of all. */
const USED_LITTLE = 1 / 2;
const MAX_BUCKETS = 50_000;
/** Requests up to this length are not refused for what others did. */
export const SURE_BYTES = 16_384;

/**
 * Bounds the work of the main thread that strangers cause, per owner and second: a project's within
 * its creator's within that of all. Work is counted (bytes, members, steps), not timed, so that a
 * busy machine refuses nothing. It is charged when it is known, also below zero; debt refuses the
 * next request.
 */
export class WorkBudget {
  readonly turns: Turns;
  readonly #parts: WorkParts;
  readonly #owners: RateLimiter;
  readonly #addresses: RateLimiter;
  /** Work, reads, exports and replays of all known payers together, and all of others. */
  readonly #all: Partial<Record<All, Bucket>> = {};
  readonly #used = new UsedWork();
  readonly #refused;

  constructor(parts: WorkParts, turns = new Turns()) {
    this.#parts = parts;
    this.turns = turns;
    this.#owners = new RateLimiter(parts.clock, MAX_BUCKETS, BURST_MS);
    this.#addresses = new RateLimiter(parts.clock, MAX_BUCKETS, BURST_MS);
    const { metrics } = parts;
    this.#refused = metrics.counter("prism_work_refused_total", "Requests refused because of earlier work, by limit");
    metrics.counterOf("prism_work_seconds_total", "Counted work for strangers, by project", () => this.#used.top());
  }

  /**
   * A project and its creator. @param from where a request comes from that has no other proof than
   * its URL: it has buckets of its own, so that requests with only the URL use up nothing of the
   * project's keys, signed senders and people; one address uses up no more than its part
   */
  ofProject(projectId: string, from: { readonly address: string; readonly url: string } | null = null): WorkAccount {
    const ownerId = this.#parts.ownerOf(projectId);
    const by = from === null ? "" : " by URL";
    const creator: WorkAccount["levels"] = ownerId === null ? [] : [["creator", `${ownerId}${by}`]];
    const address: WorkAccount["levels"] = from === null ? [] : [["address", addressKey(from)]];
    const all = from === null ? "known" : "byUrl";
    return { projectId, all, levels: [...address, ["project", `${projectId}${by}`], ...creator] };
  }

  /** The project of a key with its creator, or the user; null for the operator. */
  ofPrincipal(principal: Principal): WorkAccount | null {
    if (principal.kind === "apiKey") return this.ofProject(principal.projectId);
    if (principal.userId === null) return null;
    return { projectId: null, all: "known", levels: [["creator", principal.userId]] };
  }

  /**
   * The account that pays for reading, with buckets of its own: many reads do not refuse sending, and
   * reads of keys do not refuse those of people. Null for the operator.
   */
  ofReader(principal: Principal, kind: "reads" | "exports" | "replays"): WorkAccount | null {
    const account = this.ofPrincipal(principal);
    const by = principal.kind === "apiKey" ? `${kind} of keys` : kind;
    const levels = account?.levels.map(([level, key]) => [level, `${key} ${by}`] as const) ?? [];
    return account && { ...account, all: kind, levels };
  }

  /**
   * The history of live streams. Without a principal an address pays, apart from its requests: these
   * are refused in debt, a replay waits.
   */
  readonly replays: ReplayBudget = {
    waitMs: (reader) => this.debtOf(this.#ofReplay(reader), reader.principal === null)?.waitMs ?? 0,
    charge: (reader, work) => this.charge(this.#ofReplay(reader), work),
  };

  #ofReplay({ principal, address }: Reader): WorkAccount | null {
    if (principal) return this.ofReader(principal, "replays");
    return { projectId: null, all: "unknown", levels: [["address", addressKey({ address, url: "replays" })]] };
  }

  /** The holder of a secret that signs requests in another protocol. */
  ofSigner(key: string): WorkAccount {
    return { projectId: null, all: "known", levels: [["project", key]] };
  }

  /**
   * An address that has proved nothing. @param url a public URL with a budget of its own, such as
   * that of a receiver: another address at it, and the address at another one, are apart
   */
  ofAddress(address: string, url = ""): WorkAccount {
    const here: WorkAccount["levels"] = url === "" ? [] : [["url", url]];
    return { projectId: null, all: "unknown", levels: [["address", addressKey({ address, url })], ...here] };
  }

  /**
   * @param isSmall whether the request has at most {@link SURE_BYTES}. One of a sender that is not
   * known yet is then refused only for the debt of its address, not for that of others; one of a
   * holder of a key, secret or token only while its owner and all together are in debt
   * @throws WORK_LIMITED while the account, or all together, are in debt
   */
  require(account: WorkAccount | null, isSmall = false): void {
    const debt = this.debtOf(account, isSmall);
    if (debt !== null) throw this.refusal(debt);
  }

  /** Why {@link require} refuses; null: it does not. Counts nothing. */
  debtOf(account: WorkAccount | null, isSmall = false): Debt | null {
    if (account === null) return null;
    const byAddress = account.levels[0]?.[0] === "address";
    let share = 1;
    for (const [level, key] of account.levels) {
      if (isSmall && byAddress && level !== "address") continue;
      const bucket = this.#bucket(level, key);
      if (bucket.remaining < 0 && (!isSmall || byAddress)) return { account, level, waitMs: bucket.waitMs(0) };
      share = Math.min(share, bucket.remaining / bucket.limit);
    }
    if (isSmall && byAddress) return null;
    const all = this.#allOf(account);
    // An account that has used little is not refused because of others.
    const least = isSmall ? 0 : USED_LITTLE;
    const isRefused = all.remaining < 0 && (share < least || account.all === "unknown");
    return isRefused ? { account, level: "all", waitMs: all.waitMs(0) } : null;
  }

  /** Charges work that was done, or is about to be. @param isElsewhere it runs in another thread */
  charge(account: WorkAccount | null, work: Work, isElsewhere = false): void {
    const micros = microsOf(work);
    if (account === null || micros === 0) return;
    if (!isElsewhere) this.turns.spend(micros);
    if (account.projectId !== null) this.#used.add(account.projectId, micros);
    for (const [level, key] of account.levels) borrow(this.#bucket(level, key), micros);
    borrow(this.#allOf(account), micros);
  }

  /**
   * Work of a project in milliseconds and refused requests since the start, and the part of its
   * budget that is left (0 to 1).
   */
  useOf(projectId: string): WorkUse {
    const { remaining, limit } = this.#bucket("project", projectId);
    const left = Math.max(0, Math.round((100 * remaining) / limit) / 100);
    const { micros, refused } = this.#used.of(projectId);
    return { usedMs: Math.round(micros / 1000), refused, left };
  }

  /** The error for a request that is refused because of a debt; counts it. */
  refusal({ account: { projectId, all }, level, waitMs }: Debt): PrismError {
    if (projectId !== null) this.#used.add(projectId, 0, 1);
    this.#refused({ by: level }).add();
    const { setting, part } = SETTINGS[level];
    const limit = this.#parts.limits()[setting] * (level === "all" ? SHARE_OF_ALL[all] : part);
    const message = `${REASONS[level]} took more of the server's time than it may (work.${setting}: ${limit} ms a second)`;
    const retryMs = Math.max(1, Math.ceil(waitMs));
    const detail = { path: "", code: "LIMIT", message, by: level, setting: `work.${setting}`, limit };
    return new PrismError("WORK_LIMITED", message, {
      details: [{ ...detail, retryAfterMs: retryMs }],
      retryAfterMs: retryMs,
    });
  }

  #bucket(level: Level, key: string): Bucket {
    const { projectMsPerSecond, creatorMsPerSecond } = this.#parts.limits();
    if (level === "creator") return this.#owners.take(`c:${key}`, microsIn(creatorMsPerSecond), 0, "owners");
    if (level === "project") return this.#owners.take(`p:${key}`, microsIn(projectMsPerSecond), 0, "owners");
    const isAddress = level === "address";
    const limit = microsIn(projectMsPerSecond * (isAddress ? ADDRESS_SHARE : 1));
    return this.#addresses.take(`${level} ${key}`, limit, 0, isAddress ? coarseAddressGroup(key) : "urls");
  }

  #allOf({ all: name }: WorkAccount): Bucket {
    const now = this.#parts.clock.elapsed();
    const burstMs = name === "byUrl" ? BURST_BY_URL_MS : BURST_MS;
    const limit = microsIn(this.#parts.limits().allMsPerSecond * SHARE_OF_ALL[name], burstMs);
    const bucket = this.#all[name];
    if (bucket?.limit === limit) return bucket.refill(now);
    this.#all[name] = new Bucket(limit, burstMs, now);
    return this.#all[name];
  }
}

function addressKey({ address, url }: { readonly address: string; readonly url: string }): string {
  return `${addressGroup(address)} ${url}`;
}

const REASONS: Readonly<Record<Level | "all", string>> = {
  address: "Requests of this address",
  url: "Requests of unknown senders at this URL",
  project: "Requests of this project",
  creator: "Requests of this account and its projects",
  all: "Requests of all together",
};

/** The setting of each budget, and the part of it that the budget has. */
const SETTINGS: Readonly<Record<Level | "all", { readonly setting: keyof WorkLimits; readonly part: number }>> = {
  address: { setting: "projectMsPerSecond", part: ADDRESS_SHARE },
  url: { setting: "projectMsPerSecond", part: 1 },
  project: { setting: "projectMsPerSecond", part: 1 },
  creator: { setting: "creatorMsPerSecond", part: 1 },
  all: { setting: "allMsPerSecond", part: 1 },
};

function microsIn(msPerSecond: number, burstMs = BURST_MS): number {
  return Math.max(1, Math.round(msPerSecond * burstMs));
}

/** Debt is at most a full bucket, which bounds the wait. */
function borrow(bucket: Bucket, micros: number): void {
  bucket.borrow(Math.min(micros, bucket.remaining + bucket.limit));
}

const MAX_USED = 2000;

interface Used {
  readonly micros: number;
  readonly refused: number;
}

const UNUSED: Used = { micros: 0, refused: 0 };

/** Work by project since the start; the projects with the least are one when there are too many. */
class UsedWork {
  readonly #projects = new Map<string, Used>();
  #other = 0;

  add(projectId: string, more: number, refusals = 0): void {
    const { micros, refused } = this.of(projectId);
    this.#projects.set(projectId, { micros: micros + more, refused: refused + refusals });
    if (this.#projects.size <= MAX_USED) return;
    for (const [id, dropped] of this.#sorted().slice(MAX_USED / 2)) {
      this.#projects.delete(id);
      this.#other += dropped.micros;
    }
  }

  of(projectId: string): Used {
    return this.#projects.get(projectId) ?? UNUSED;
  }

  /** Seconds of the projects with the most, and of all others. */
  top(): (readonly [MetricLabels, number])[] {
    const seconds = Array.from(this.#projects, ([id, { micros }]) => [id, micros / 1e6] as const);
    return topProjects(seconds, this.#other / 1e6);
  }

  #sorted(): [string, Used][] {
    return [...this.#projects].sort(([, a], [, b]) => b.micros - a.micros);
  }
}

/** Work of strangers in one turn of the loop, in microseconds: other requests wait no longer. */
const TURN_MICROS = 4000;
const MAX_WAITING = 10_000;

/**
 * Spreads work over turns of the loop: once a turn's share is spent the rest waits, owner by owner.
 * A single piece of work is not interrupted; its own limits bound it.
 */
export class Turns {
  readonly #next: (run: () => void) => void;
  readonly #waiting = new Map<string, (() => void)[]>();
  #count = 0;
  #spent = 0;
  #isArmed = false;

  /** @param next runs a function in the next turn of the loop. */
  constructor(next: (run: () => void) => void = (run) => void setImmediate(run)) {
    this.#next = next;
  }

  /** Work that waits for a turn. */
  get waiting(): number {
    return this.#count;
  }

  /** Runs work now if the turn has time, otherwise in a later one. @throws OVERLOADED if too much waits */
  async run<T>(owner: string, work: () => T): Promise<T> {
    if (this.#count === 0 && this.#spent < TURN_MICROS) return work();
    if (this.#count >= MAX_WAITING)
      throw new PrismError("OVERLOADED", "Too many requests are waiting", { retryAfterMs: 1000 });
    return new Promise<T>((resolve, reject) => {
      // Bound to its own request: it runs in the turn of another.
      const run = AsyncResource.bind((): void => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      });
      const own = this.#waiting.get(owner);
      if (own) own.push(run);
      else this.#waiting.set(owner, [run]);
      this.#count++;
      this.#arm();
    });
  }

  spend(micros: number): void {
    this.#spent += micros;
    this.#arm();
  }

  #arm(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#next(() => this.#turn());
  }

  #turn(): void {
    this.#isArmed = false;
    this.#spent = 0;
    while (this.#count > 0 && this.#spent < TURN_MICROS) this.#take()();
    if (this.#count > 0) this.#arm();
  }

  /** The owners in turn. */
  #take(): () => void {
    const [owner, own] = this.#waiting.entries().next().value as [string, (() => void)[]];
    const run = own.shift() as () => void;
    this.#waiting.delete(owner);
    if (own.length > 0) this.#waiting.set(owner, own);
    this.#count--;
    return run;
  }
}

import { PrismError } from "../../core/errors.ts";
import { type Metrics, SECONDS_BUCKETS } from "../../core/metrics.ts";
import { VERSION } from "../../core/runtime.ts";
import type { SharedFiles } from "../../store/stored-files.ts";
import type { LogServer } from "../log/log.ts";
import type { NatsLog } from "../log/nats-log.ts";
import { type ClusterMember, FENCED_BY_CHANCE, type KnownNode, type Leadership } from "../member.ts";
import { MOST_SKEW_MS } from "../time.ts";
import type { Comparison, compareNodes, Hold } from "../tools/compare.ts";
import { registerLeaderMetrics } from "../tools/metrics.ts";

/** How long appends took, in memory that the writer's thread shares: last sequence, sum in ns, counts by bucket. */
export type AppendFigures = BigInt64Array;

export function newAppendFigures(sequence: number): AppendFigures {
  const figures = new BigInt64Array(new SharedArrayBuffer((SECONDS_BUCKETS.length + 3) * 8));
  figures[0] = BigInt(sequence);
  return figures;
}

/** @param tookMs from before it was sent to its acceptance */
export function noteAppend(figures: AppendFigures, sequence: number, tookMs: number): void {
  const bucket = SECONDS_BUCKETS.findIndex((bound) => tookMs <= bound * 1000);
  Atomics.store(figures, 0, BigInt(sequence));
  Atomics.add(figures, 1, BigInt(Math.round(tookMs * 1e6)));
  Atomics.add(figures, 2 + (bucket < 0 ? SECONDS_BUCKETS.length : bucket), 1n);
}

/** A name in shared memory; empty: none. */
export class SharedName {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array = new Uint8Array(new SharedArrayBuffer(64))) {
    this.bytes = bytes;
  }

  get value(): string | null {
    return Buffer.from(this.bytes).toString("latin1").replaceAll("\0", "") || null;
  }

  set value(name: string | null) {
    this.bytes.fill(0).set(Buffer.from(name ?? "", "latin1"));
  }
}

/** How this node came to lead. */
interface TakeOver {
  /** Since when it answers, in epoch ms. */
  readonly at: number;
  /** The leader before. */
  readonly from: string;
  readonly withoutLeaderMs: number;
  /** The leader before had ended its work; otherwise it was lost. */
  readonly isHandedOver: boolean;
}

/** A node as the leader knows it. */
export interface NodeState {
  readonly name: string;
  readonly isLeader: boolean;
  readonly isLive: boolean;
  /** False: it follows only. */
  readonly mayLead: boolean;
  /** Its disk has the free space that a leader needs. */
  readonly hasRoom: boolean;
  /** Tokens that the leader has signed are valid there too. */
  readonly hasSameTokens: boolean;
  readonly version: string;
  readonly sequence: number;
  readonly lagRecords: number;
  readonly lagMs: number;
  readonly skewMs: number;
  /** Epoch ms. */
  readonly heardAt: number;
  readonly advertise: string;
}

/** Something about the cluster that an administrator must know. */
export interface ClusterCondition {
  readonly key: string;
  readonly text: string;
  /** What to say when it has ended. */
  readonly over: string;
  /** Epoch ms. */
  readonly since: number;
  /** It has lasted long enough for a notice. */
  readonly isDue: boolean;
}

export interface LeadParts {
  readonly cluster: string;
  readonly node: string;
  readonly advertise: string;
  readonly member: Pick<ClusterMember, "nodes" | "silenceOf" | "deadMs" | "fenced" | "keys" | "forget">;
  readonly journal: Pick<NatsLog, "range" | "servers">;
  readonly files: SharedFiles;
  readonly leadership: Leadership;
  readonly figures: AppendFigures;
  readonly successor: SharedName;
  /** Requests that this node answered with 503, by code, before it led. */
  readonly refused: Readonly<Record<string, number>>;
  /** {@link compareNodes}. */
  compare(nodes: Pick<Parameters<typeof compareNodes>[1], "others" | "isLive">, hold: Hold): Promise<Comparison>;
  /** Epoch ms. */
  now(): number;
  /** Ends the leadership in order, after the answer. */
  onStepDown(successor: string): void;
  /** Ends the process at once, as a lost machine would. */
  onLost(): void;
}

const GONE_MS = 5 * 60_000;
const MOST_LAG_MS = 30_000;
/** Enough for an answer to leave. */
const ANSWER_MS = 200;
/** A node that is further behind would not lead at once. */
const MOST_BEHIND = 64;
const VERSIONS_MS = 24 * 3_600_000;

/** What the process of the leader knows of its cluster. */
export class ClusterLead {
  readonly #parts: LeadParts;
  readonly #since = new Map<string, number>();
  readonly #startedAt: number;
  #takeOver: TakeOver | null = null;
  #isComparing = false;
  /** As they were when it was last looked. */
  #servers: readonly LogServer[] = [];

  constructor(parts: LeadParts) {
    this.#parts = parts;
    this.#startedAt = parts.now();
  }

  get cluster(): string {
    return this.#parts.cluster;
  }

  get node(): string {
    return this.#parts.node;
  }

  get files(): SharedFiles {
    return this.#parts.files;
  }

  get term(): number {
    return this.#parts.leadership.position.term;
  }

  /** Of the last record in the log. */
  get sequence(): number {
    return Number(Atomics.load(this.#parts.figures, 0));
  }

  get refused(): Readonly<Record<string, number>> {
    return this.#parts.refused;
  }

  /** Null: this was the first leader. */
  get takeOver(): TakeOver | null {
    return this.#takeOver;
  }

  /** This node answers from now on. */
  serves(): void {
    const { leadership, now } = this.#parts;
    const { before, isHandedOver } = leadership;
    const at = now();
    if (before === null || this.term === 1) return;
    this.#takeOver = { at, from: before.node, withoutLeaderMs: Math.max(0, at - before.at), isHandedOver };
  }

  registerMetrics(metrics: Metrics): void {
    registerLeaderMetrics(this, metrics);
  }

  /** In seconds, by the bounds of SECONDS_BUCKETS. */
  get appends(): { readonly counts: readonly number[]; readonly sum: number } {
    const [, sum = 0n, ...counts] = this.#parts.figures;
    return { counts: counts.map(Number), sum: Number(sum) / 1e9 };
  }

  /** This node first, then the others by name. */
  nodes(): NodeState[] {
    const { node: name, member, advertise, now } = this.#parts;
    const { sequence } = this;
    const own: NodeState = {
      ...{
        name,
        isLeader: true,
        isLive: true,
        mayLead: true,
        hasSameTokens: true,
        hasRoom: true,
        version: VERSION,
        sequence,
        advertise,
      },
      ...{ lagRecords: 0, lagMs: 0, skewMs: 0, heardAt: now() },
    };
    const others = member.nodes.map((each) => this.#stateOf(each));
    return [own, ...others.sort((a, b) => (a.name < b.name ? -1 : 1))];
  }

  #stateOf(known: KnownNode): NodeState {
    const { member, now } = this.#parts;
    const { node: name, mayLead, version, sequence, recordAt, skewMs, advertise, keys } = known;
    const silentMs = member.silenceOf(known);
    const isLive = silentMs < member.deadMs;
    // What was appended since it was heard is no lag of a node that is heard twice a second.
    const lagRecords = isLive ? known.behind : Math.max(0, this.sequence - sequence);
    const lagMs = lagRecords === 0 ? 0 : Math.max(0, now() - (isLive ? silentMs : 0) - recordAt);
    return {
      ...{ name, isLeader: false, isLive, mayLead, version, sequence, advertise },
      hasSameTokens: keys.tokens === member.keys.tokens,
      hasRoom: known.hasRoom !== false,
      ...{ lagRecords, lagMs: Math.round(lagMs), skewMs: Math.round(skewMs), heardAt: now() - Math.round(silentMs) },
    };
  }

  /** The log, as its servers see it. */
  async log(): Promise<{ readonly first: number; readonly last: number; readonly servers: readonly LogServer[] }> {
    const { journal } = this.#parts;
    const [range, servers] = await Promise.all([journal.range(), journal.servers()]);
    this.#servers = servers;
    return { ...range, servers };
  }

  /** Sees which servers of the log are missing. @throws errors of the log */
  async lookAtServers(): Promise<void> {
    this.#servers = await this.#parts.journal.servers();
  }

  /** Their numbers when it was last looked: with all of the log, without, and gone. */
  get servers(): { readonly current: number; readonly behind: number; readonly gone: number } {
    const gone = this.#servers.filter(({ isReachable }) => !isReachable).length;
    const behind = this.#servers.filter(({ isReachable, isCurrent }) => isReachable && !isCurrent).length;
    return { current: this.#servers.length - gone - behind, behind, gone };
  }

  /** Call it now and then: it notes since when each of them lasts. */
  conditions(): ClusterCondition[] {
    const now = this.#parts.now();
    const found = this.#findings();
    for (const key of this.#since.keys()) if (!found.some((each) => each.key === key)) this.#since.delete(key);
    return found.map(({ afterMs, from = now, ...finding }) => {
      const { key } = finding;
      const since = this.#since.get(key) ?? from;
      this.#since.set(key, since);
      return { ...finding, since, isDue: now - since >= afterMs };
    });
  }

  #findings(): Finding[] {
    const [, ...others] = this.nodes();
    const isAlone = this.#ready().length === 0;
    const found = others.flatMap((each) => findingsOf(each, isAlone));
    found.push(...this.#servers.flatMap(findingsOfServer));
    const versions = [...new Set([VERSION, ...others.filter(({ isLive }) => isLive).map(({ version }) => version)])];
    if (versions.length > 1)
      found.push({
        key: "versions",
        text: `The nodes have different versions: ${versions.sort().join(", ")}`,
        over: "The nodes have the same version again",
        afterMs: VERSIONS_MS,
      });
    const { fenced, deadMs } = this.#parts.member;
    if (fenced > FENCED_BY_CHANCE)
      found.push({
        key: "fenced",
        text: `Leaders were blocked or cut off ${fenced} times in ten minutes: the next one waits ${deadMs / 1000} s`,
        over: "No leader was blocked or cut off for some minutes",
        afterMs: 0,
      });
    if (others.length === 0)
      found.push({
        key: "alone",
        text: "No other node was heard since this one leads: nothing would take over",
        over: "Another node of the cluster is there",
        afterMs: GONE_MS,
        from: this.#startedAt,
      });
    return found;
  }

  /** @param to default: the live node with room on its disk that has applied most. @returns who may lead next. @throws PrismError NO_STANDBY */
  standby(to: string | undefined): string {
    const next = this.#ready().find(({ name }) => to === undefined || name === to);
    if (!next)
      throw new PrismError(
        "NO_STANDBY",
        to === undefined
          ? "No other node that may lead is live: nothing would take over"
          : to === this.node
            ? `The node ${to} leads already`
            : `The node ${to} is not live, or may not lead`,
      );
    return next.name;
  }

  /** Who may lead next, best first: with room on its disk, then by what it has applied. */
  #ready(): NodeState[] {
    const ready = this.nodes().filter(({ isLeader, isLive, mayLead }) => !isLeader && isLive && mayLead);
    return ready.sort(
      (a, b) => Number(b.hasRoom) - Number(a.hasRoom) || b.sequence - a.sequence || (a.name < b.name ? -1 : 1),
    );
  }

  /** Hands over if another node is current and has room on its disk: this one's is full. @returns whether it does */
  leaveFullDisk(): boolean {
    const next = this.#ready().find(({ hasRoom, lagRecords }) => hasRoom && lagRecords <= MOST_BEHIND);
    if (next) this.stepDown(next.name);
    return next !== undefined;
  }

  /** Expects a node no longer. @throws PrismError NOT_FOUND, INVALID_STATE for one that is live */
  remove(name: string): void {
    const found = this.nodes().find((each) => each.name === name);
    if (!found) throw new PrismError("NOT_FOUND", `The cluster knows no node ${name}`);
    if (found.isLive)
      throw new PrismError(
        "INVALID_STATE",
        `The node ${name} is live: stop it first; after its stop it counts as live for ` +
          `${Math.ceil(this.#parts.member.deadMs / 1000)} s`,
      );
    this.#parts.member.forget(name);
  }

  /**
   * Compares the tables of the other nodes with this one's. @param hold keeps this node from storing anything,
   * for a moment. @throws PrismError INVALID_STATE while it compares them already
   */
  async compare(hold: Hold): Promise<Comparison> {
    if (this.#isComparing) throw new PrismError("INVALID_STATE", "The nodes are being compared already");
    this.#isComparing = true;
    const [, ...others] = this.nodes().map(({ name }) => name);
    const isLive = (name: string): boolean => this.nodes().some((each) => each.name === name && each.isLive);
    try {
      return await this.#parts.compare({ others, isLive }, hold);
    } finally {
      this.#isComparing = false;
    }
  }

  /** Ends this process after the answer, without a word to the others: they must notice. */
  endAsLost(): void {
    setTimeout(() => this.#parts.onLost(), ANSWER_MS);
  }

  /** Ends the leadership in order; `next` leads without waiting. */
  stepDown(next: string): void {
    const { successor, onStepDown } = this.#parts;
    successor.value = next;
    onStepDown(next);
  }
}

interface Finding extends Pick<ClusterCondition, "key" | "text" | "over"> {
  /** It is worth a notice when it has lasted so long. */
  readonly afterMs: number;
  /** Default: now. */
  readonly from?: number;
}

function findingsOfServer({ name, isReachable, isCurrent }: LogServer): Finding[] {
  if (isReachable && isCurrent) return [];
  const text = isReachable ? "does not have all of the log yet" : "cannot be reached";
  const over = `The nats-server ${name} has all of the log again`;
  return [{ key: `server:${name}`, text: `The nats-server ${name} ${text}`, over, afterMs: GONE_MS }];
}

/** @param isLast no other node is ready to take over */
function findingsOf(node: NodeState, isLast: boolean): Finding[] {
  const { name, isLive, heardAt, lagMs, skewMs, hasSameTokens, hasRoom } = node;
  if (!isLive) {
    const text = `The node ${name} is gone${isLast ? ": if this machine is lost, nothing takes over" : ""}`;
    return [{ key: `gone:${name}`, text, over: `The node ${name} is back`, afterMs: GONE_MS, from: heardAt }];
  }
  const found: Finding[] = [];
  if (lagMs > MOST_LAG_MS)
    found.push({
      key: `lag:${name}`,
      text: `The node ${name} is over ${MOST_LAG_MS / 1000} s behind the log`,
      over: `The node ${name} has caught up with the log`,
      afterMs: 0,
    });
  if (!hasRoom)
    found.push({
      key: `room:${name}`,
      text: `The disk of the node ${name} has too little free space: it takes over last`,
      over: `The disk of the node ${name} has enough free space again`,
      afterMs: GONE_MS,
    });
  if (!hasSameTokens)
    found.push({
      key: `tokens:${name}`,
      text: `The node ${name} has another JWT secret than the leader: after a take-over all people must log in again`,
      over: `The node ${name} has the JWT secret of the leader`,
      afterMs: 0,
    });
  if (Math.abs(skewMs) > MOST_SKEW_MS)
    found.push({
      key: `skew:${name}`,
      text: `The clock of the node ${name} is ${Math.abs(skewMs)} ms ${skewMs > 0 ? "ahead of" : "behind"} the leader's`,
      over: `The clock of the node ${name} is right again`,
      afterMs: GONE_MS,
    });
  return found;
}

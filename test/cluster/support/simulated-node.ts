import SqliteDatabase, { type Database as Sqlite } from "better-sqlite3";
import { Applier } from "../../../src/cluster/follow/applier.ts";
import { LEASE_MS, Lease, newAccepted, noteAccepted, sentNow } from "../../../src/cluster/lead/lease.ts";
import { type NextRecord, ReplicatedCommits } from "../../../src/cluster/lead/replicated-commits.ts";
import { FencedLog } from "../../../src/cluster/log/fenced-log.ts";
import { ClusterMember } from "../../../src/cluster/member.ts";
import { isFinal } from "../../../src/cluster/member-errors.ts";
import type { NodeBeat } from "../../../src/cluster/signals.ts";
import type { NodeTime } from "../../../src/cluster/time.ts";
import type { SealedBox } from "../../../src/core/crypto/sealed-box.ts";
import { silentLogger } from "../../../src/core/log.ts";
import { closing, StatementCache } from "../../../src/store/sqlite/connection.ts";
import type { SimulatedLog } from "./simulated-log.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** A write of a client, which repeats it until it is acknowledged. */
export interface Write {
  readonly id: string;
  /** Executes its statements in the open transaction. */
  run(statements: StatementCache, connection: Sqlite): void;
  isAcknowledged: boolean;
}

export interface World {
  readonly time: VirtualTime;
  readonly log: SimulatedLog;
  readonly box: SealedBox;
  /** What must not happen. */
  readonly problems: string[];
  /** The fault CL-2: a lease beside the log decides who leads. */
  readonly lease: SharedLease | null;
  send(beat: NodeBeat): void;
  /** A call to a service begins. */
  act(node: SimulatedNode): void;
}

/** A value with a revision, which is compared when an update is proposed and not when it is decided. */
export interface SharedLease {
  holder: string;
  until: number;
  revision: number;
}

const TABLES = `
  create table a (id text primary key, n integer) strict;
  create table b (seq integer primary key autoincrement, id text not null unique) strict;
  create table c (name text primary key, count integer not null) strict;`;
/** Copied for each disk: making the tables takes longer. */
const EMPTY = closing(new SqliteDatabase(":memory:"), (made) => made.exec(TABLES).serialize());
const EPOCH = 1_800_000_000_000;
const BEAT_MS = 2000;
const ACT_MS = 250;
const START_MS = 300;
/** As in join.ts. */
const MOST_SILENT_MS = 20_000;

/** A process of a node, and the disk that it leaves when it ends. */
export class SimulatedNode {
  readonly name: string;
  readonly disk: Sqlite = new SqliteDatabase(EMPTY);
  /** Of the leadership of this process; 0: it follows. */
  term = 0;
  /** When its work began, in ms; null: it has not. */
  workSince: number | null = null;
  /** When the last record that was accepted had been sent, in true time. */
  sentAt = 0;
  slowMs = 0;
  skewMs = 0;
  readonly #world: World;
  #process = 0;
  #stoppedUntil = 0;
  /** By how much its monotonic clock is behind: the machine was suspended. */
  #suspendedMs = 0;
  #listener: (beat: NodeBeat) => void = () => undefined;
  #queue: Promise<void> = Promise.resolve();
  #write: ((write: Write) => void) | null = null;
  #resign: (() => void) | null = null;

  constructor(name: string, world: World) {
    this.name = name;
    this.#world = world;
  }

  /** It answers writes. */
  get serves(): boolean {
    return this.#write !== null;
  }

  write(write: Write): void {
    this.#runs(this.#process, () => this.#write?.(write));
  }

  /** Ends in order, if it leads: not before its work has begun, as long as the leader before may act. */
  handOver(): void {
    this.#runs(this.#process, () => {
      if (this.workSince !== null) this.#resign?.();
    });
  }

  hear(beat: NodeBeat): void {
    const listener = this.#listener;
    this.#runs(this.#process, () => listener(beat));
  }

  /** @param isSuspended the machine: its monotonic clock stands still */
  stop(ms: number, isSuspended: boolean): void {
    const from = Math.max(this.#stoppedUntil, this.#world.time.now);
    this.#stoppedUntil = Math.max(from, this.#world.time.now + ms);
    if (isSuspended) this.#suspendedMs += this.#stoppedUntil - from;
  }

  /** Ends the process; another one starts a moment later. */
  crash(): void {
    const process = ++this.#process;
    this.#listener = () => undefined;
    this.#write = null;
    this.#resign = null;
    this.term = 0;
    this.workSince = null;
    this.#queue = Promise.resolve();
    this.#world.time.after(START_MS, () => this.#runs(process, () => void this.#start(process)));
  }

  /** Ends the process for good. */
  end(): void {
    this.#process++;
  }

  /** Limits its disk to what it holds, or lets it grow again. */
  fill(isFull: boolean): void {
    const pages = isFull ? (this.disk.pragma("page_count", { simple: true }) as number) : 1_073_741_823;
    this.disk.pragma(`max_page_count = ${pages}`);
  }

  /** Calls `work` when this process runs; never when it has ended. */
  #runs(process: number, work: () => void): void {
    if (process !== this.#process) return;
    const { time } = this.#world;
    if (time.now >= this.#stoppedUntil) work();
    else time.after(this.#stoppedUntil - time.now, () => this.#runs(process, work));
  }

  #clock(process: number): NodeTime {
    const { time } = this.#world;
    const later = (ms: number, work: () => void) => time.after(ms, () => this.#runs(process, work));
    return {
      elapsed: () => time.now - this.#suspendedMs,
      now: () => EPOCH + time.now + this.skewMs,
      sleep: (ms) => new Promise((resolve) => void later(ms, resolve)),
      every: (ms, work) => {
        let isOver = false;
        const next = (): void => {
          if (isOver) return;
          work();
          later(ms, next);
        };
        later(ms, next);
        return () => {
          isOver = true;
        };
      },
    };
  }

  async #start(process: number): Promise<void> {
    const { log, box, problems } = this.#world;
    // What the process before has wrapped, and left open.
    for (const name of ["prepare", "exec"]) Reflect.deleteProperty(this.disk, name);
    if (this.disk.inTransaction) this.disk.exec("rollback");
    const clock = this.#clock(process);
    const caller = { name: this.name, runs: (work: () => void) => this.#runs(process, work) };
    const journal = new FencedLog(log.transport(caller), clock);
    if (this.#world.lease) return this.#leadByLease(this.#world.lease, clock);
    try {
      const member = new ClusterMember({
        ...{ node: this.name, advertise: this.name, isStandby: false, hasRoom: () => true, deadMs: 3000, journal, box },
        ...{ fencedAt: [], keys: { encryption: "1", tokens: "1" }, readableKeys: ["1"] },
        signals: {
          send: (beat) => this.#world.send(beat),
          onBeat: (listener) => {
            this.#listener = listener;
          },
        },
        applier: new Applier(this.disk, box),
        log: silentLogger,
        time: clock,
      });
      const leadership = await member.untilLeader();
      if (process === this.#process) await this.#lead(process, { member, journal, clock, leadership });
    } catch (error) {
      if (process !== this.#process) return;
      if (isFinal(error)) problems.push(`${this.name}: ${String(error)}`);
      this.crash();
    }
  }

  async #leadByLease(lease: SharedLease, clock: NodeTime): Promise<void> {
    const { time, log } = this.#world;
    clock.every(ACT_MS, () => {
      if (this.workSince !== null) this.#world.act(this);
    });
    for (;;) {
      const { revision, until, holder } = lease;
      await clock.sleep(5);
      const isFree = holder === this.name || until < time.now;
      if (!log.cut.has(this.name) && isFree && revision === lease.revision) {
        // The others may propose meanwhile.
        await clock.sleep(5);
        lease.holder = this.name;
        lease.until = time.now + LEASE_MS;
        lease.revision++;
        this.sentAt = time.now;
        this.workSince ??= time.now;
        this.term = 1;
      }
      await clock.sleep(500);
    }
  }

  /** Resolves never: leading ends with the process. */
  async #lead(process: number, { member, journal, clock, leadership }: Leading): Promise<void> {
    const { box, time } = this.#world;
    const commits = new ReplicatedCommits({
      ...{ connection: this.disk, box, node: this.name, position: leadership.position },
      now: clock.now,
      onLost: () => {
        throw new Error("the commit of a record failed");
      },
    });
    const statements = new StatementCache(this.disk);
    const accepted = newAccepted();
    const append = async (next: NextRecord | null): Promise<void> => {
      if (next === null) return;
      const [sent, trueSentAt] = [sentNow(clock), time.now];
      next.accepted(await journal.append(next.messages, next.after));
      noteAccepted(accepted, sent);
      this.sentAt = trueSentAt;
    };
    const [begin, commit, rollback] = ["begin immediate", "commit", "rollback"].map((text) => this.disk.prepare(text));
    /** One after the other, as the writer's thread does; a failure ends the process. */
    const inTurn = (work: () => Promise<void>): void => {
      this.#queue = this.#queue.then(async () => {
        if (process !== this.#process) return;
        try {
          await work();
        } catch {
          if (process === this.#process) this.crash();
        }
      });
    };
    await append(commits.beat());
    this.term = leadership.position.term;
    const lease = new Lease(accepted, clock);
    member.lead(() => commits.position.sequence);
    clock.every(BEAT_MS / 4, () => {
      if (lease.silentMs >= MOST_SILENT_MS) this.crash();
      else if (lease.silentMs >= BEAT_MS) inTurn(() => append(commits.beat()));
    });
    clock.every(ACT_MS, () => {
      if (this.workSince !== null && !lease.isOver) this.#world.act(this);
    });
    this.#write = (write) =>
      inTurn(async () => {
        begin?.run();
        try {
          write.run(statements, this.disk);
        } catch {
          // Nothing of it is in the log.
          if (this.disk.inTransaction) rollback?.run();
          return;
        }
        await append(commits.changes());
        if (this.slowMs > 0) await clock.sleep(this.slowMs);
        commit?.run();
        write.isAcknowledged = true;
      });
    this.#resign = () => {
      this.#write = null;
      this.#resign = null;
      this.workSince = null;
      inTurn(async () => {
        await append(commits.resign(null));
        this.crash();
      });
    };
    if (!leadership.isHandedOver) await clock.sleep(LEASE_MS);
    if (this.#resign !== null) this.workSince = time.now;
  }
}

interface Leading {
  readonly member: ClusterMember;
  readonly journal: FencedLog;
  readonly clock: NodeTime;
  readonly leadership: Awaited<ReturnType<ClusterMember["untilLeader"]>>;
}

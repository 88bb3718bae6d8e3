import type { SealedBox } from "../core/crypto/sealed-box.ts";
import type { Logger } from "../core/log.ts";
import { VERSION } from "../core/runtime.ts";
import type { Applier } from "./follow/applier.ts";
import { type ClusterLog, Fenced, type Following, type LogMessage, LogRefuses } from "./log/log.ts";
import type { Position } from "./log/position.ts";
import { type ClusterRecord, encodeRecord, newRecordId } from "./log/record.ts";
import { isFinal, MemberStopped, NodeRefused } from "./member-errors.ts";
import type { NodeBeat, NodeKeys, Signals } from "./signals.ts";
import type { NodeTime } from "./time.ts";

interface MemberParts {
  readonly node: string;
  readonly advertise: string;
  /** Follows only. */
  readonly isStandby: boolean;
  /** Whether the disk has the free space that a leader needs. */
  hasRoom(): boolean;
  /** How long the leader may be silent. */
  readonly deadMs: number;
  /** When this node lost the leadership while its process was still running, in epoch ms. */
  readonly fencedAt: readonly number[];
  readonly keys: NodeKeys;
  /** Ids of the keys with which this node reads what is stored. */
  readonly readableKeys: readonly string[];
  readonly journal: ClusterLog;
  readonly signals: Signals;
  readonly applier: Pick<Applier, "position" | "sequence" | "apply">;
  readonly box: SealedBox;
  readonly log: Logger;
  readonly time: NodeTime;
}

/** This node leads from now on. */
export interface Leadership {
  /** Of its `leader` record. */
  readonly position: Position;
  /** The leader before has ended its work; otherwise it may still work, until its lease is over. */
  readonly isHandedOver: boolean;
  /** The leader before, and its last sign in epoch ms; null: this is the first leader. */
  readonly before: { readonly node: string; readonly at: number } | null;
}

/** Another node. */
export interface KnownNode extends NodeBeat {
  /** Monotonic, in ms. */
  readonly heardAt: number;
  /** Milliseconds by which its clock is ahead of this one's, minus the time that the message took. */
  readonly skewMs: number;
  /** Number of records that it had not applied then. */
  readonly behind: number;
}

const BEAT_MS = 500;
const LOOK_MS = 100;
/** Each node that is ahead of this one may stand before it. */
const RANK_MS = 300;
/** A node whose clock differs by more becomes a candidate last: its timers would be early or late. */
const LATE_SKEW_MS = 5000;
/** Two leaders that were blocked may be chance; what blocks a third one goes from node to node. */
export const FENCED_BY_CHANCE = 2;
const FENCED_WITHIN_MS = 600_000;
const MOST_DEAD_MS = 30_000;
const SKEWED_MS = 5000;
/** A node without room on its disk stands later than those with room. */
const FULL_MS = 5000;
/** How long other nodes leave the leadership to the one that was named. */
const SUCCESSOR_MS = 3000;
const RETRY_MS = 500;
/** A candidate that lacks more waits for its following. */
const MOST_READ = 64;
/** Beats of this node's last process may be on their way for a moment. */
const NAMESAKE_MS = 5000;

/** A node of a cluster: follows the log, and leads when no other node does. */
export class ClusterMember {
  readonly #parts: MemberParts;
  readonly #nodes = new Map<string, KnownNode>();
  readonly #listeners: (() => void)[] = [];
  #following: Following | null = null;
  #leader: KnownNode | null = null;
  /** When the leader was heard last, by a beat or a record. */
  #heardAt: number;
  /** The leader has ended its work; the next one may begin at once. */
  #hasResigned = false;
  /** The node that the leader named when it ended its work. */
  #successor: string | null = null;
  /** The last sign of a leader, this node's own among them, in epoch ms. */
  #sign: { readonly node: string; readonly at: number } | null = null;
  /** Clock of the leader in the last record. */
  #recordAt = 0;
  /** End of the log, while this node leads. */
  #end: (() => number) | null = null;
  #isStanding = false;
  #isLeading = false;
  /** This node leads, and its server answers. */
  #serves = false;
  #isEnding = false;
  #isStopped = false;
  /** How far the clock of the last leader was before this node's. */
  #skewMs = 0;
  #refusal: NodeRefused | null = null;
  readonly #run = newRecordId();
  /** Monotonic, in ms. */
  readonly #startedAt: number;
  #beats = 0;
  /** Another process with this node's name. */
  #namesake: { readonly run: string; readonly since: number } | null = null;
  #reported = "";
  #problem: string | null = null;
  /** The `leader` record that this node has sent. */
  #candidacy: { readonly id: string; readonly isHandedOver: boolean } | null = null;
  /** Ends {@link untilLeader}. */
  #settle: { won(leadership: Leadership): void; failed(error: unknown): void } | null = null;

  constructor(parts: MemberParts) {
    this.#parts = parts;
    this.#heardAt = parts.time.elapsed();
    this.#startedAt = parts.time.elapsed();
    parts.signals.onBeat((beat) => this.#heard(beat));
  }

  /** The leader that was heard within `deadMs`; null: there is none. */
  get leader(): KnownNode | null {
    return this.#leader && !this.#hasResigned && this.#isLive(this.silenceOf(this.#leader)) ? this.#leader : null;
  }

  get keys(): NodeKeys {
    return this.#parts.keys;
  }

  /** How often within ten minutes a leader lost the leadership while its process was still running. */
  get fenced(): number {
    const recent = this.nodes.filter((each) => this.silenceOf(each) < FENCED_WITHIN_MS);
    return recent.reduce((sum, { fenced }) => sum + fenced, this.#ownFenced);
  }

  /** How long a leader may be silent: longer when one node after the other is blocked. */
  get deadMs(): number {
    const { deadMs } = this.#parts;
    const doubled = deadMs * 2 ** Math.max(0, this.fenced - FENCED_BY_CHANCE);
    return Math.min(doubled, Math.max(deadMs, MOST_DEAD_MS));
  }

  get #ownFenced(): number {
    const since = this.#parts.time.now() - FENCED_WITHIN_MS;
    return this.#parts.fencedAt.filter((at) => at > since).length;
  }

  /** How long no leader was heard, in ms. */
  get silentMs(): number {
    return this.#isLeading ? 0 : this.#parts.time.elapsed() - this.#heardAt;
  }

  /** Other nodes that were heard. */
  get nodes(): readonly KnownNode[] {
    return [...this.#nodes.values()];
  }

  /** Why no node can lead, and what to do; null: nothing is known. */
  get problem(): string | null {
    const { doubt } = this.#parts.journal;
    return this.#isStanding && doubt instanceof LogRefuses ? doubt.message : this.#problem;
  }

  /** The number of live nodes with a smaller name. */
  get namesBefore(): number {
    return this.#live.filter((other) => other.node < this.#parts.node).length;
  }

  get #live(): readonly KnownNode[] {
    return this.nodes.filter((each) => this.#isLive(this.silenceOf(each)));
  }

  /** Mostly it was heard a moment ago, and nothing has to be summed up. */
  #isLive(silentMs: number): boolean {
    return silentMs < this.#parts.deadMs || silentMs < this.deadMs;
  }

  /** Forgets a node that was removed; it is known again once it is heard. */
  forget(name: string): void {
    this.#nodes.delete(name);
  }

  /** Since a node was heard. */
  silenceOf({ heardAt }: KnownNode): number {
    return this.#parts.time.elapsed() - heardAt;
  }

  /** Where this node is in the log. */
  get at(): { readonly term: number; readonly sequence: number } {
    const { position, sequence } = this.#parts.applier;
    return { term: position.term, sequence };
  }

  /** What this node has not applied yet. */
  get lag(): { readonly records: number; readonly ms: number } {
    const records = Math.max(0, (this.#leader?.sequence ?? 0) - this.#parts.applier.sequence);
    return { records, ms: records === 0 ? 0 : Math.max(0, this.#parts.time.now() - this.#recordAt) };
  }

  /** Calls `listener` whenever a leader is heard that was not the leader before. */
  onLeader(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Follows until this node leads. From then on other nodes wait for {@link lead}, however long the
   * migrations before it take. @throws Diverged, LogGone, UnreadableRecord: it cannot go on
   */
  async untilLeader(): Promise<Leadership> {
    const { time } = this.#parts;
    const endBeats = time.every(BEAT_MS, () => {
      if (this.#isStopped) endBeats();
      else this.#beat();
    });
    const endLooks = time.every(LOOK_MS, () => this.#look());
    try {
      return await new Promise<Leadership>((won, failed) => {
        this.#settle = { won, failed };
        this.#follow().catch(failed);
      });
    } catch (error) {
      endBeats();
      throw error;
    } finally {
      endLooks();
    }
  }

  /** Says that this node leads and serves, until {@link stop}. @param end the last sequence of the log */
  lead(end: () => number): void {
    this.#serves = true;
    this.#end = end;
    this.#beat();
  }

  /** Lets the other nodes keep requests for the next leader. */
  end(): void {
    this.#isEnding = true;
    this.#beat();
  }

  stop(): void {
    this.#isStopped = true;
    this.#following?.stop();
  }

  /** Resolves when this node leads. */
  async #follow(): Promise<void> {
    const { journal, applier, log } = this.#parts;
    let reported = "";
    while (!this.#isStopped && !this.#isLeading) {
      if (this.#refusal) throw this.#refusal;
      const following = journal.follow(applier.sequence);
      this.#following = following;
      try {
        for await (const message of following) {
          if (following !== this.#following) break;
          this.#take(message);
          reported = "";
        }
      } catch (error) {
        if (this.#isLeading) return;
        if (isFinal(error)) throw error;
        // On a full disk every try fails.
        if (String(error) !== reported) log.warn({ err: error }, "cannot follow the log of the cluster; trying again");
        reported = String(error);
      }
      if (!this.#refusal && !this.#isLeading) await this.#parts.time.sleep(RETRY_MS);
    }
    if (!this.#isLeading) throw new MemberStopped();
  }

  /** Ends the following, which begins again after what the file has. */
  #followAgain(): void {
    this.#following?.stop();
    this.#following = null;
  }

  /** A message that was followed, or read by a candidate; each comes from both. */
  #take(message: LogMessage): void {
    const { applier } = this.#parts;
    if (this.#isLeading || message.sequence <= applier.sequence) return;
    const record = applier.apply(message);
    if (record) this.#saw(record);
  }

  #saw({ id, content, node, at }: ClusterRecord): void {
    const { time, applier } = this.#parts;
    const before = this.#sign;
    // What was written some time ago, and read now, does not show that its writer lives.
    const ageMs = content.kind === "leader" ? 0 : Math.max(0, time.now() + this.#skewMs - at);
    this.#heardAt = Math.max(this.#heardAt, time.elapsed() - ageMs);
    this.#sign = { node, at };
    this.#recordAt = at;
    if (content.kind === "resign") {
      this.#hasResigned = true;
      this.#successor = content.successor;
    }
    if (content.kind !== "leader") return;
    const isOwn = this.#candidacy?.id === id;
    const isHandedOver = this.#candidacy?.isHandedOver ?? false;
    this.#candidacy = null;
    this.#hasResigned = false;
    this.#successor = null;
    if (this.#leader?.node !== node) this.#leader = null;
    this.#parts.log.info({ leader: node }, isOwn ? "this node leads the cluster" : "another node leads the cluster");
    if (!isOwn) return;
    this.#isLeading = true;
    this.#followAgain();
    this.#beat();
    this.#settle?.won({ position: applier.position, isHandedOver, before });
  }

  #heard(beat: NodeBeat): void {
    const { node, time } = this.#parts;
    if (beat.node === node) return this.#heardOwnName(beat);
    const earlier = this.#nodes.get(beat.node);
    if (earlier?.run === beat.run && earlier.count >= beat.count) return;
    const heardAt = time.elapsed();
    const skewMs = beat.at - time.now();
    const known = { ...beat, heardAt, skewMs, behind: Math.max(0, (this.#end?.() ?? 0) - beat.sequence) };
    this.#nodes.set(beat.node, known);
    if (!beat.isLeader || beat.term < this.#parts.applier.position.term) return;
    this.#requireKeyOf(beat);
    const isNew = this.leader?.node !== beat.node;
    this.#leader = beat.isEnding ? null : known;
    this.#heardAt = heardAt;
    this.#skewMs = skewMs;
    if (!this.#hasResigned) this.#sign = { node: beat.node, at: time.now() };
    if (isNew) for (const listener of this.#listeners) listener();
  }

  /**
   * Of two nodes with one name the one that leads goes on, or the one that runs for longer, whatever
   * their clocks say: neither would count the other.
   */
  #heardOwnName({ run, at, startedAt, isLeader }: NodeBeat): void {
    const now = this.#parts.time.elapsed();
    if (run === this.#run || this.#isLeading) return;
    if (!isLeader && at - startedAt <= now - this.#startedAt) return;
    if (this.#namesake?.run !== run) this.#namesake = { run, since: now };
    if (now - this.#namesake.since >= NAMESAKE_MS)
      this.#refuse(`another node of the cluster is named ${this.#parts.node}: give each its own cluster.node`);
  }

  /** A node that cannot read what the leader stores must not take over. */
  #requireKeyOf({ node, keys }: NodeBeat): void {
    if (this.#isLeading || this.#parts.readableKeys.includes(keys.encryption)) return;
    this.#refuse(
      `this node (${this.#parts.node}) lacks the encryption key of the leader ${node}: set the same ` +
        "PRISM_ENCRYPTION_KEY on both, or add the leader's key to previousEncryptionKeys here",
    );
  }

  #refuse(message: string): void {
    this.#refusal = new NodeRefused(message);
    this.#following?.stop();
  }

  #beat(): void {
    const { node, advertise, applier, signals, isStandby, keys } = this.#parts;
    const at = this.#parts.time.now();
    signals.send({
      node,
      run: this.#run,
      startedAt: at - (this.#parts.time.elapsed() - this.#startedAt),
      count: this.#beats++,
      isLeader: this.#isLeading,
      isEnding: this.#isEnding || (this.#isLeading && !this.#serves),
      term: applier.position.term,
      sequence: this.#end?.() ?? applier.sequence,
      recordAt: this.#isLeading ? at : this.#recordAt,
      mayLead: !isStandby,
      hasRoom: this.#parts.hasRoom(),
      advertise,
      at,
      keys,
      version: VERSION,
      fenced: this.#ownFenced,
    });
  }

  #look(): void {
    const { time, isStandby } = this.#parts;
    if (isStandby || this.#isLeading || this.#isStopped || this.#refusal) return;
    if (this.#isStanding) return this.#report(this.problem);
    if (!this.#hasResigned && this.#isLive(time.elapsed() - this.#heardAt)) return;
    this.#isStanding = true;
    this.#stand()
      .then(
        () => {
          this.#reported = "";
          this.#problem = null;
        },
        (error: unknown) => {
          this.#problem = error instanceof LogRefuses ? error.message : null;
          this.#report(error instanceof Fenced ? null : error);
        },
      )
      .finally(() => {
        this.#isStanding = false;
      });
  }

  /** Logs each reason once. */
  #report(reason: unknown): void {
    const text = reason instanceof Error ? reason.message : String(reason);
    if (reason === null || text === this.#reported) return;
    this.#reported = text;
    const why = reason instanceof Error ? { err: reason } : { reason };
    this.#parts.log.warn(why, "this node cannot take over; trying again");
  }

  /** Reads the log to its end and appends a `leader` record; the log accepts that of one node. */
  async #stand(): Promise<void> {
    const { node, journal, applier, box, time } = this.#parts;
    await time.sleep(this.#waitMs());
    const end = await journal.last();
    // The log lacks what this node has applied: it lost its end, or a server has not read all of it yet.
    if (end < applier.sequence) return;
    if (!(await this.#readTo(end))) return this.#followAgain();
    // As of the end: another one may have led since the leader resigned.
    const isHandedOver = this.#hasResigned;
    if (!isHandedOver && this.#isLive(time.elapsed() - this.#heardAt)) return;
    const { id: previous, term } = applier.position;
    const record = {
      ...{ id: newRecordId(), previous, term: term + 1, node, at: time.now() },
      content: { kind: "leader" } as const,
    };
    if (this.#isStopped) return;
    this.#candidacy = { id: record.id, isHandedOver };
    const [message] = encodeRecord(record, box);
    if (!message) return;
    const sequence = await journal.append([message], end);
    this.#takeAsCandidate({ sequence, bytes: message });
  }

  /**
   * Applies what the log has up to `end`, beside the following: that may have ended with its server,
   * and a new one needs an election. @returns whether it did
   */
  async #readTo(end: number): Promise<boolean> {
    const { applier, journal, time, deadMs } = this.#parts;
    for (const until = time.elapsed() + deadMs; applier.sequence < end; ) {
      if (time.elapsed() > until || this.#isStopped) return false;
      if (end - applier.sequence > MOST_READ) {
        await time.sleep(LOOK_MS);
        continue;
      }
      const message = await journal.get(applier.sequence + 1);
      if (message === null) return false;
      this.#takeAsCandidate(message);
    }
    return true;
  }

  #takeAsCandidate(message: LogMessage): void {
    try {
      this.#take(message);
    } catch (error) {
      // The file is back at its position, and what is followed may be ahead of that.
      this.#followAgain();
      if (isFinal(error)) this.#settle?.failed(error);
      throw error;
    }
  }

  /** The node that was named stands at once. */
  #waitMs(): number {
    const isNamed = this.#hasResigned && this.#successor !== null;
    if (isNamed && this.#successor === this.#parts.node) return 0;
    const isSkewed = Math.abs(this.#skewMs) > LATE_SKEW_MS;
    const isFull = !this.#parts.hasRoom() && this.#live.some((other) => canLead(other));
    const lateMs = (isNamed ? SUCCESSOR_MS : 0) + (isSkewed ? SKEWED_MS : 0) + (isFull ? FULL_MS : 0);
    return this.#rank() * RANK_MS + lateMs;
  }

  /** Number of live nodes that have applied more, or as much with a smaller name. */
  #rank(): number {
    const { node, applier } = this.#parts;
    const { sequence } = applier;
    return this.#live.filter(
      (other) => !other.isLeader && (other.sequence > sequence || (other.sequence === sequence && other.node < node)),
    ).length;
  }
}

function canLead({ isLeader, mayLead, hasRoom }: KnownNode): boolean {
  return !isLeader && mayLead && hasRoom !== false;
}

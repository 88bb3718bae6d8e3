import { setTimeout as wait } from "node:timers/promises";
import { parentPort } from "node:worker_threads";
import { PrismError } from "../../core/errors.ts";
import { startThread, yieldToOthers } from "../../core/runtime.ts";
import { openForReading } from "../../store/sqlite/connection.ts";
import { readPosition } from "../log/position.ts";
import { newRecordId } from "../log/record.ts";
import { listen, type NodeTransport, opened } from "../signals.ts";
import { differing, digestOf, type TableDigest } from "./digest.ts";

/* Digests of all nodes at one record of the log. While the leader stores nothing, each node begins
 * to read its file; what is stored afterwards no longer shows there. */

/** Another node, beside the leader. */
export interface ComparedNode {
  readonly name: string;
  readonly result: "equal" | "differs" | "no-answer";
  /** Those that differ, by name. */
  readonly tables: readonly string[];
}

export interface Comparison {
  /** The last record of the log that all of them have. */
  readonly sequence: number;
  /** Of the leader, in all tables. */
  readonly rows: number;
  readonly nodes: readonly ComparedNode[];
}

/** Runs `work` while this node stores nothing. */
export type Hold = (work: () => Promise<void>) => Promise<void>;

interface Asked {
  readonly id: string;
  readonly leader: string;
  /** Null: the node gets ready to read. A number: it reads once its file has this record. */
  readonly sequence: number | null;
}

/** What the thread that reads a file says. */
type Said =
  | { readonly state: "ready" }
  | { readonly state: "reading"; readonly sequence: number }
  | { readonly state: "done"; readonly sequence: number; readonly tables: readonly TableDigest[] }
  | { readonly state: "failed"; readonly reason: string };

const CONTEXT = "prism cluster digest";
const READY_MS = 5000;
/** No event is stored meanwhile. */
const HOLD_MS = 1000;
const LOOK_MS = 5;
/** Digests of a large database take so long at most; clients wait as long for an answer. */
const MOST_MS = 240_000;
/** Comparisons that a node remembers. */
const MAX_BEGUN = 10_000;

const subjectOf = (name: string): string => `prism.${name}.digest`;

/** The context of an answer names its comparison, so that an answer to an earlier one does not count. */
const contextOf = (id: string): string => `${CONTEXT} ${id}`;

/** Lets this node answer the leader that compares. @param file its database */
export function answerDigests({ nats, name, box }: NodeTransport, node: string, file: string): void {
  let current: (FileDigest & { readonly id: string }) | null = null;
  // A message that is sent again must not begin the work again; the oldest ids give way.
  const begun = new Set<string>();
  listen(nats, subjectOf(name), (message) => {
    const asked = opened<Asked>(box, CONTEXT, message.data);
    if (asked === null || asked.leader === node) return;
    const { id, sequence } = asked;
    if (sequence !== null) {
      if (current?.id === id) current.read(sequence);
      return;
    }
    if (begun.has(id)) return;
    if (begun.size === MAX_BEGUN) begun.delete([...begun][0] ?? "");
    begun.add(id);
    current?.end();
    const say = (said: Said): void => {
      if (!nats.isClosed())
        nats.publish(
          `${subjectOf(name)}.${id}`,
          box.seal(contextOf(id), Buffer.from(JSON.stringify({ node, ...said }))),
        );
    };
    current = { id, ...startDigest(file, say) };
  });
}

interface Compared {
  readonly node: string;
  /** Its database. */
  readonly file: string;
  readonly others: readonly string[];
  /** Whether another node may still answer. */
  isLive(name: string): boolean;
}

/**
 * Compares the tables of other nodes with those of this one, which leads. @throws PrismError
 * DATABASE_UNAVAILABLE when this node cannot read its own file in time
 */
export async function compareNodes(
  { nats, name, box }: NodeTransport,
  { node, file, others, isLive }: Compared,
  hold: Hold,
): Promise<Comparison> {
  const id = newRecordId();
  const said = new Map<string, Said>();
  const answers = nats.subscribe(`${subjectOf(name)}.${id}`, {
    callback(error, message) {
      const answer = error ? null : opened<Said & { readonly node: string }>(box, contextOf(id), message.data);
      if (answer !== null) said.set(answer.node, answer);
    },
  });
  const ask = (sequence: number | null): void =>
    nats.publish(subjectOf(name), box.seal(CONTEXT, Buffer.from(JSON.stringify({ id, leader: node, sequence }))));
  const own = startDigest(file, (each) => said.set(node, each));
  const untilAll = (nodes: readonly string[], states: readonly Said["state"][], mostMs: number): Promise<void> => {
    const isDue = (each: string): boolean => !states.some((state) => said.get(each)?.state === state);
    return until(() => !nodes.some((each) => (each === node || isLive(each)) && isDue(each)), mostMs);
  };
  try {
    ask(null);
    await untilAll([node, ...others], ["ready", "failed"], READY_MS);
    const ready = others.filter((each) => said.get(each)?.state === "ready");
    let reading: readonly string[] = [];
    let sequence = 0;
    await hold(async () => {
      own.read(0);
      await untilAll([node], [...BEGUN, "failed"], HOLD_MS);
      sequence = sequenceOf(said.get(node));
      ask(sequence);
      await untilAll(ready, [...BEGUN, "failed"], HOLD_MS);
      reading = ready.filter((each) => BEGUN.some((state) => said.get(each)?.state === state));
    });
    await untilAll([node, ...reading], ["done", "failed"], MOST_MS);
    const last = said.get(node);
    if (last?.state !== "done") throw unreadable(last);
    const nodes = others.map((other) =>
      compared(other, last.tables, reading.includes(other) ? said.get(other) : undefined),
    );
    return { sequence, rows: last.tables.reduce((sum, { rows }) => sum + rows, 0), nodes };
  } finally {
    answers.unsubscribe();
    own.end();
  }
}

const BEGUN = ["reading", "done"] as const;

function sequenceOf(said: Said | undefined): number {
  if (said?.state === "reading" || said?.state === "done") return said.sequence;
  throw unreadable(said);
}

function unreadable(said: Said | undefined): PrismError {
  const reason = said?.state === "failed" ? said.reason : "it takes too long";
  return new PrismError("DATABASE_UNAVAILABLE", `This node cannot read its database: ${reason}`);
}

function compared(name: string, ours: readonly TableDigest[], said: Said | undefined): ComparedNode {
  if (said?.state !== "done") return { name, result: "no-answer", tables: [] };
  const tables = differing(ours, said.tables);
  return { name, result: tables.length === 0 ? "equal" : "differs", tables };
}

async function until(isSo: () => boolean, mostMs: number): Promise<void> {
  for (const end = performance.now() + mostMs; !isSo() && performance.now() < end; ) await wait(LOOK_MS);
}

interface FileDigest {
  /** Begins to read when the file has this record. */
  read(sequence: number): void;
  end(): void;
}

/** Starts a thread that reads a file when `read` is called. It ends by itself. */
function startDigest(file: string, say: (said: Said) => void): FileDigest {
  const thread = startThread("digest", file);
  const end = (): void => {
    clearTimeout(timer);
    void thread.terminate();
  };
  const timer = setTimeout(end, MOST_MS + READY_MS);
  timer.unref();
  thread.unref();
  thread.on("message", (said: Said) => {
    say(said);
    if (said.state === "done" || said.state === "failed") end();
  });
  thread.once("error", (error) => say({ state: "failed", reason: error.message }));
  return { read: (sequence) => thread.postMessage(sequence), end };
}

/** Main function of the thread. */
export function runDigestThread(file: string): void {
  const say = (said: Said): void => parentPort?.postMessage(said);
  const failed = (error: unknown): void =>
    say({ state: "failed", reason: error instanceof Error ? error.message : String(error) });
  try {
    const reader = openForReading(file);
    const position = (): number => readPosition(reader)?.sequence ?? 0;
    const read = async (from: number): Promise<void> => {
      while (position() < from) await wait(LOOK_MS);
      let sequence = 0;
      const tables = await digestOf(reader, () => {
        sequence = position();
        say({ state: "reading", sequence });
        yieldToOthers();
      });
      say({ state: "done", sequence, tables });
    };
    parentPort?.once("message", (from: number) => void read(from).catch(failed));
    say({ state: "ready" });
  } catch (error) {
    failed(error);
  }
}

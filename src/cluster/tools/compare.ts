import { setTimeout as wait } from "node:timers/promises";
import { parentPort } from "node:worker_threads";
import { PrismError } from "../../core/errors.ts";
import { startThread, yieldToOthers } from "../../core/runtime.ts";
import { openForReading, reading } from "../../store/sqlite/connection.ts";
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
  /** The node reads once its file has this record. */
  readonly sequence: number;
}

/** What the thread that reads a file says. */
type Said =
  | { readonly state: "reading" }
  | { readonly state: "done"; readonly tables: readonly TableDigest[] }
  | { readonly state: "failed"; readonly reason: string };

const CONTEXT = "prism cluster digest";
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
  let end = (): void => undefined;
  // A message that is sent again must not begin the work again; the oldest ids give way.
  const begun = new Set<string>();
  listen(nats, subjectOf(name), (message) => {
    const asked = opened<Asked>(box, CONTEXT, message.data);
    if (asked === null || asked.leader === node) return;
    const { id, sequence } = asked;
    if (begun.has(id)) return;
    if (begun.size === MAX_BEGUN) begun.delete([...begun][0] ?? "");
    begun.add(id);
    end();
    const say = (said: Said): void => {
      if (!nats.isClosed())
        nats.publish(
          `${subjectOf(name)}.${id}`,
          box.seal(contextOf(id), Buffer.from(JSON.stringify({ node, ...said }))),
        );
    };
    end = startDigest(file, sequence, say);
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
  const isLiveOrOwn = (each: string): boolean => each === node || isLive(each);
  const isDone = (each: string): boolean => ["done", "failed"].includes(said.get(each)?.state ?? "");
  let end = (): void => undefined;
  try {
    let sequence = 0;
    await hold(async () => {
      sequence = reading(file, readPosition)?.sequence ?? 0;
      end = startDigest(file, sequence, (each) => said.set(node, each));
      const asked: Asked = { id, leader: node, sequence };
      nats.publish(subjectOf(name), box.seal(CONTEXT, Buffer.from(JSON.stringify(asked))));
      await until(() => [node, ...others].every((each) => said.has(each) || !isLiveOrOwn(each)), HOLD_MS);
    });
    // One that begins later has other rows.
    if (!said.has(node)) throw unreadable(undefined);
    const begun = others.filter((each) => said.has(each));
    await until(() => [node, ...begun].every((each) => isDone(each) || !isLiveOrOwn(each)), MOST_MS);
    const last = said.get(node);
    if (last?.state !== "done") throw unreadable(last);
    const nodes = others.map((other) =>
      compared(other, last.tables, begun.includes(other) ? said.get(other) : undefined),
    );
    return { sequence, rows: last.tables.reduce((sum, { rows }) => sum + rows, 0), nodes };
  } finally {
    answers.unsubscribe();
    end();
  }
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

export interface DigestThreadData {
  readonly file: string;
  readonly sequence: number;
}

/** Starts a thread that reads a file once it has a record, and ends by itself. @returns ends it before */
function startDigest(file: string, sequence: number, say: (said: Said) => void): () => void {
  const thread = startThread("digest", { file, sequence } satisfies DigestThreadData);
  const timer = setTimeout(() => void thread.terminate(), MOST_MS);
  timer.unref();
  const end = (): void => {
    clearTimeout(timer);
    void thread.terminate();
  };
  thread.unref();
  thread.on("message", (said: Said) => {
    say(said);
    if (said.state !== "reading") end();
  });
  thread.once("error", (error) => say({ state: "failed", reason: error.message }));
  return end;
}

/** Main function of the thread. */
export async function runDigestThread({ file, sequence }: DigestThreadData): Promise<void> {
  const say = (said: Said): void => parentPort?.postMessage(said);
  try {
    const reader = openForReading(file);
    while ((readPosition(reader)?.sequence ?? 0) < sequence) await wait(LOOK_MS);
    const tables = await digestOf(reader, () => {
      say({ state: "reading" });
      yieldToOthers();
    });
    say({ state: "done", tables });
  } catch (error) {
    say({ state: "failed", reason: error instanceof Error ? error.message : String(error) });
  }
}

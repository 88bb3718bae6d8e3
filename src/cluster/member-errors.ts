/* Why a node ends, or must not go on. */

/** {@link ClusterMember.stop} ended the wait. */
export class MemberStopped extends Error {
  constructor() {
    super("the node stops");
    this.name = "MemberStopped";
  }
}

/** The configuration of this node does not fit the leader's. */
export class NodeRefused extends Error {
  override readonly name = "NodeRefused";
}

/** What another try does not mend. */
const FINAL: ReadonlySet<string> = new Set([
  "Diverged",
  "LogBehind",
  "LogGone",
  "NatsServerRefused",
  "NodeRefused",
  "UnreadableRecord",
]);

/** The node must not go on: its file or its program does not fit to the log. */
export function isFinal(error: unknown): boolean {
  return error instanceof Error && (FINAL.has(error.name) || failsForever(error));
}

/** The file cannot be written; a full disk may have room later. */
function failsForever(error: Error): boolean {
  return "code" in error && /^SQLITE_(CORRUPT|NOTADB|READONLY)/.test(String(error.code));
}

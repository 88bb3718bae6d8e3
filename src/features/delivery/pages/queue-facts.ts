import type { Channels } from "../channel.ts";
import type { Gate, TroubleFacts } from "./gate.ts";
import { isDrill, type PageQueue } from "./page-queue.ts";

/* Facts of the queues for operators. */

/** Whether users name the host; the operator's own providers have the names of their channels. */
export function isHost({ provider }: PageQueue, { names }: Pick<Channels, "names">): boolean {
  return !names.some((name) => name === provider);
}

type GateOf = (queue: PageQueue) => Gate;

/** Targets that have accepted nothing for a while, the longest first. @param now elapsed ms */
export function troublesOf(queues: Iterable<PageQueue>, gateOf: GateOf, now: number): readonly TroubleFacts[] {
  const found: TroubleFacts[] = [];
  for (const queue of queues) {
    const gate = [queue.gate, gateOf(queue)].find(({ trouble }) => trouble !== null);
    const [first] = queue.pages;
    if (!gate?.trouble || !first) continue;
    const { since, error } = gate.trouble;
    const { kind } = first.facts;
    const facts = { target: queue.key, provider: queue.provider, kind, waiting: queue.size, error };
    found.push({ ...facts, sinceMs: now - since, isFailed: gate.isFailed });
  }
  return found.sort((a, b) => b.sinceMs - a.sinceMs);
}

/**
 * How long the ready page that waits longest was not attempted by this process; 0 for none. @param
 * now elapsed ms
 */
export function longestUnattemptedMs(queues: Iterable<PageQueue>, gateOf: GateOf, now: number): number {
  let longest = 0;
  const isWell = (queue: PageQueue): boolean =>
    [queue.gate, gateOf(queue)].every(({ trouble, pausedUntil }) => !trouble && pausedUntil <= now);
  for (const queue of [...queues].filter(isWell))
    for (const page of queue.pages)
      if (page.triedHere === 0 && page.notBefore <= now && !isDrill(page))
        longest = Math.max(longest, now - Math.max(page.readySince, page.hereSince));
  return longest;
}

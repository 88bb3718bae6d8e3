import { Gate } from "./gate.ts";
import type { PageQueue } from "./page-queue.ts";

/** A host, mail server or push service: its targets share the probe while it cannot be reached. */
export interface Provider {
  readonly gate: Gate;
  readonly queues: Set<PageQueue>;
}

/** What a call has passed, of which its result tells: the target may have another host since. */
export interface CalledWay {
  readonly queue: PageQueue;
  readonly gate: Gate;
  readonly provider: Provider;
}

/** The other targets of a provider, those with urgent pages first. @param now elapsed ms */
export function othersOf({ queues }: Provider, queue: PageQueue, now: number): readonly PageQueue[] {
  const isUrgent = (each: PageQueue): boolean => each.head(now)?.facts.urgency === "high";
  const others = [...queues].filter((each) => each !== queue);
  return [...others.filter(isUrgent), ...others.filter((each) => !isUrgent(each))];
}

/** The providers of the targets in memory. */
export class Providers {
  readonly #byName = new Map<string, Provider>();

  of({ provider }: Pick<PageQueue, "provider">): Provider {
    return this.#byName.get(provider) ?? { gate: new Gate(), queues: new Set() };
  }

  add(queue: PageQueue): void {
    const provider = this.of(queue);
    provider.queues.add(queue);
    this.#byName.set(queue.provider, provider);
  }

  delete(queue: PageQueue): void {
    const { queues } = this.of(queue);
    queues.delete(queue);
    if (queues.size === 0) this.#byName.delete(queue.provider);
  }

  /** The target has another host now: what is known of the one before says nothing about it. */
  move(queue: PageQueue, provider: string): void {
    this.delete(queue);
    queue.moveTo(provider);
    this.add(queue);
  }
}

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Incidents } from "../../../src/features/alerts/incidents/engine.ts";
import { type Action as Consequence, IncidentWork, type Turn } from "../../../src/features/alerts/incidents/machine.ts";
import { Rates } from "../../../src/features/channels/sending/sender.ts";
import { Gate } from "../../../src/features/delivery/pages/gate.ts";
import { Lanes, type Slot } from "../../../src/features/delivery/pages/page-queue.ts";
import { PageRecords } from "../../../src/features/delivery/pages/records.ts";
import { PageSender } from "../../../src/features/delivery/pages/sender.ts";
import type { Action } from "./promise-actions.ts";
import { PromiseRun } from "./promise-run.ts";

/* Faults that Prism had, or must not get: what the random histories check notices each. */

/** With a fault what is waited for does not come. */
const PATIENCE_MS = 300;

interface Fault {
  readonly name: string;
  readonly history: readonly Action[];
  /** What the run says. */
  readonly noticed: RegExp;
  /** Puts the fault in place of methods. @param run once it has started */
  seed(replace: Replace, run: () => PromiseRun | undefined): void;
}

/** Replaces a method of a class until the test ends. @returns the method as it was */
type Replace = <T extends object, K extends keyof T>(type: { readonly prototype: T }, name: K, by: T[K]) => T[K];

const fire = (name: string): Action => ({ do: "fire", name });
const pass = (minutes: number): Action => ({ do: "pass", minutes });
const edit = (policy: number): Action => ({ do: "edit", policy });

const COMES_LATER: readonly Action[] = [pass(2), { do: "return", who: "ann" }, { do: "duty", who: "ann" }, pass(8)];

const FAULTS: readonly Fault[] = [
  {
    name: "A1: a page is given up while its receiver is down",
    history: [{ do: "down", way: "ann" }, fire("A"), { do: "up", way: "ann" }, pass(1)],
    noticed: /not sent at once: A to ann/,
    seed(replace) {
      const attempted = replace(PageRecords, "attempted", function (this: PageRecords, id, given) {
        attempted.call(this, id, { ...given, isOver: true });
      });
    },
  },
  {
    name: "A2: an incident whose step met no one asks no one again",
    history: [edit(3), { do: "down", way: "bob" }, { do: "leave", who: "ann" }, fire("A"), ...COMES_LATER],
    noticed: /A has reached no one, though ann could be reached for minutes/,
    // Repetitions went to those notified before, and a change of who is on call changed nothing.
    seed(replace) {
      replace(Incidents, "tryUnreached", () => undefined);
      const done = replace(IncidentWork, "done", function (this: IncidentWork): Turn {
        const { actions, ...turn } = done.call(this);
        const isAgain = (each: Consequence): boolean =>
          each.kind === "page" ? each.isAgain : each.kind === "log" && each.entry === "looked-again";
        return { ...turn, actions: actions.filter((each) => !isAgain(each)) };
      });
    },
  },
  {
    name: "reliability 1: an answer that asks to wait kills the page",
    history: [{ do: "busy", way: "ann", seconds: 20 }, fire("A"), pass(3)],
    noticed: /not sent at once: A to ann/,
    // A fraction of a millisecond in `jobs.runAt` burnt all attempts; no time of a page is stored now.
    seed(replace, run) {
      const attempted = replace(PageRecords, "attempted", function (this: PageRecords, id, given) {
        const isFraction = !Number.isInteger(run()?.site.world.clock.elapsed());
        attempted.call(this, id, { ...given, isOver: isFraction && /429/.test(given.error) });
      });
    },
  },
  {
    name: "reliability 2: failures in a row disable a channel for good",
    history: [edit(5), { do: "down", way: "room" }, fire("A"), pass(2), { do: "up", way: "room" }, pass(1)],
    noticed: /not sent at once: A to the channel/,
    // Of the channel's row nothing is changed by failures now: its gate never opens again.
    seed(replace) {
      const failed = replace(Gate, "failed", function (this: Gate, ...given) {
        failed.call(this, ...given);
        if ((this.trouble?.tries ?? 0) >= 3) this.pausedUntil = Number.POSITIVE_INFINITY;
      });
    },
  },
  {
    name: "reliability 3: messages that wait for a channel's rate hold the workers",
    history: [{ do: "storm", alerts: 60 }, fire("A")],
    noticed: /not sent at once: A to ann/,
    // There are no workers now: no call has a slot while a message waits for its channel's rate.
    seed(replace, run) {
      let until = 0;
      const elapsed = (): number => run()?.site.world.clock.elapsed() ?? 0;
      const takeRate = replace(Rates, "take", function (this: Rates, ...given): number {
        const waitMs = takeRate.call(this, ...given);
        if (waitMs > 0) until = Math.max(until, elapsed() + waitMs);
        return waitMs;
      });
      const take = replace(Lanes, "take", function (this: Lanes, ...given): Slot | undefined {
        return elapsed() < until ? undefined : take.call(this, ...given);
      });
    },
  },
  {
    name: "reliability 4: a webhook that hangs holds the pages of others",
    history: [edit(6), { do: "duty", who: "ann" }, { do: "hang", way: "hook" }, fire("B"), fire("A")],
    noticed: /not sent at once: A to ann/,
    // One socket for all pages, as the workers of all projects were.
    seed(replace) {
      const take = replace(Lanes, "take", function (this: Lanes, ...given): Slot | undefined {
        return this.running > 0 ? undefined : take.call(this, ...given);
      });
    },
  },
  {
    name: "PAGES 4a: a severity that rises is a state and no news",
    history: [fire("A"), pass(2), { do: "ack", name: "A" }, { do: "rate", name: "A", level: "critical" }, pass(3)],
    noticed: /A got worse, and these were not told/,
    seed(replace) {
      const done = replace(IncidentWork, "done", function (this: IncidentWork): Turn {
        const { actions, ...turn } = done.call(this);
        if (turn.raised === null) return { ...turn, actions };
        return { ...turn, actions: actions.filter(({ kind }) => kind !== "renotify" && kind !== "page") };
      });
    },
  },
  {
    name: "PAGES 4a: a severity that rises into another incident is told to no one of the old one",
    history: [fire("C"), pass(2), { do: "rate", name: "C", level: "critical" }, pass(3)],
    noticed: /C got worse, and these were not told/,
    seed(replace) {
      const done = replace(IncidentWork, "done", function (this: IncidentWork): Turn {
        const { actions, ...turn } = done.call(this);
        const isMoved = turn.incident.resolvedBy === "moved";
        return { ...turn, actions: isMoved ? actions.filter(({ kind }) => kind !== "renotify") : actions };
      });
    },
  },
  {
    name: "PAGES 6: a person with the app open is not paged",
    history: [{ do: "connect", who: "ann" }, fire("A")],
    noticed: /not sent at once: A to ann/,
    seed(replace, run) {
      const add = replace(PageSender, "add", function (this: PageSender, trx, pages, options): Promise<void> {
        const isLive = (userId: string | null | undefined): boolean => run()?.site.isConnected(userId ?? "") === true;
        return add.call(
          this,
          trx,
          pages.filter(({ userId }) => !isLive(userId)),
          options,
        );
      });
    },
  },
  {
    name: "PAGES 7: an attempt needs a write",
    history: [{ do: "down", way: "ann" }, fire("A"), { do: "full", who: "ann" }],
    noticed: /ann's pages are not sent while nothing can be stored/,
    seed(replace, run) {
      const handle = replace(PageSender, "handle", function (this: PageSender, name, kind) {
        const send: typeof kind.send = async (page, options) => {
          await run()?.site.world.db.write(async () => undefined);
          return kind.send(page, options);
        };
        handle.call(this, name, { ...kind, send });
      });
    },
  },
];

for (const { name, history, noticed, seed } of FAULTS)
  test(`the histories notice ${name}; without it they notice nothing`, async (t) => {
    await playWell(t, history);
    let run: PromiseRun | undefined;
    seed(replacer(t), () => run);
    run = await PromiseRun.start(t, { patienceMs: PATIENCE_MS });
    await assert.rejects(run.play(history), noticed);
  });

test("an incident whose first step is held is no reason for emergency", async (t) => {
  await playWell(t, [edit(8), fire("A"), pass(6), edit(7), fire("B"), pass(6)]);
});

test("a clock that was set back before a restart does not delay what is due", async (t) => {
  const back: readonly Action[] = [{ do: "set", minutes: -30 }, { do: "restart" }, pass(2)];
  await playWell(t, [fire("A"), pass(7), ...back]);
  await playWell(t, [{ do: "down", way: "ann" }, { do: "down", way: "bob" }, fire("A"), pass(7), ...back]);
});

async function playWell(t: TestContext, history: readonly Action[]): Promise<void> {
  const run = await PromiseRun.start(t);
  await run.play(history);
  await run.end();
}

function replacer(t: TestContext): Replace {
  return (type, name, by) => {
    const original = type.prototype[name];
    type.prototype[name] = by;
    t.after(() => {
      type.prototype[name] = original;
    });
    return original;
  };
}

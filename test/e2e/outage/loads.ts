import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { lastingPort } from "../../helpers/free-ports.ts";
import type { Scope } from "../../helpers/scope.ts";
import type { Ledger } from "./receiver.ts";
import { serviceReceiver } from "./receivers.ts";
import { type Caller, signUp } from "./site.ts";

/* Pages of other projects that must not delay those of anyone else. */

const OWNERS = 8;
const HANGING = 60;
const BUSY = 1000;

/**
 * Webhooks of eight people at 60 addresses that accept connections and never answer.
 * @returns what pages all of them twice a second, until the function that it returns is called.
 */
export async function hangingTargets(scope: Scope, server: Caller): Promise<() => () => Promise<void>> {
  const port = await lastingPort();
  const project = await makeProject(server, "hanging");
  const owners: { readonly id: string; readonly token: string }[] = [];
  for (let n = 0; n < OWNERS; n++) owners.push(await signUp(server, `owner${n}`, project));
  for (let n = 0; n < HANGING; n++) {
    const address = `127.0.1.${n + 1}`;
    const hanging = createServer((socket) => socket.on("error", () => undefined).resume()).listen(port, address);
    await once(hanging, "listening");
    scope.after(() => hanging.close());
    await server.call("POST", "/webhooks", { url: `http://${address}:${port}/` }, owners[n % OWNERS]?.token);
  }
  await lead(server, project, [{ type: "notify", users: owners.map(({ id }) => id) }]);
  return () => repeatedly(500, (n) => post(server, project, [`hanging ${n}`]));
}

/** A channel of 5 messages a second. @returns what opens 1000 incidents for it at once, and its ledger. */
export async function busyChannel(
  scope: Scope,
  server: Caller,
): Promise<{ readonly ledger: Ledger; start(): Promise<void> }> {
  const { ledger, url } = await serviceReceiver(scope, Date.now);
  const project = await makeProject(server, "busy");
  const channel = { name: "busy", preset: "http", projectId: project, eventTypes: ["none.x"], fields: { url } };
  const { id } = await server.call<{ id: string }>("POST", "/channels", channel);
  await lead(server, project, [{ type: "channel", id }]);
  const names = Array.from({ length: BUSY }, (_, n) => `busy ${n}`);
  return { ledger, start: () => post(server, project, names) };
}

async function makeProject(server: Caller, name: string): Promise<string> {
  await server.call("POST", "/projects", { name, slug: name });
  return name;
}

/** All alerts of the project lead to these steps. */
async function lead(server: Caller, projectId: string, steps: readonly object[]): Promise<void> {
  await server.call("POST", "/policies", { projectId, name: "load", steps });
  const times = { groupBy: ["..."], groupWaitMs: 0, groupIntervalMs: 1000, repeatMs: 14_400_000 };
  await server.call("PUT", `/routes?projectId=${projectId}`, { route: { policy: "load", ...times } });
}

async function post(server: Caller, projectId: string, names: readonly string[]): Promise<void> {
  const alerts = names.map((name) => ({ key: name, labels: { alertname: name } }));
  await server.call("POST", "/alerts", { projectId, alerts });
}

function repeatedly(pauseMs: number, work: (n: number) => Promise<void>): () => Promise<void> {
  let isOver = false;
  const run = async (): Promise<void> => {
    for (let n = 0; !isOver; n++) {
      await work(n);
      await sleep(pauseMs);
    }
  };
  const done = run();
  return async () => {
    isOver = true;
    await done;
  };
}

import { within } from "../core/promises.ts";
import { lastRequests } from "../http/server/listener.ts";
import type { Parts } from "./parts.ts";

/** Time after `shutdownMs` for the last commits, the audit head and the move of the WAL. */
const LAST_STEPS_MS = 2000;
/** A command waits for what it has begun. */
const COMMAND_LIMIT_MS = 60_000;

/**
 * Stops in order: no new connections, running requests are answered, sockets are asked to
 * reconnect, jobs end, the database closes. Idle connections stay open for a while: requests sent
 * before the client noticed the stop are answered with 503.
 */
export async function stop({ base, core, offers, features }: Parts): Promise<void> {
  const { bus, store } = base;
  const { kernel, listener, connections, presence, descriptors } = core;
  const { shutdownMs } = base.config;
  bus.emit("system:stopping");
  descriptors.stop();
  listener.stopListening();
  const deadline = Date.now() + shutdownMs;
  const left = (): number => Math.max(0, deadline - Date.now());
  // Steps that the next start would otherwise make up for, as on a slow disk.
  const lastLeft = (): number => Math.max(0, deadline + LAST_STEPS_MS - Date.now());
  const answered = kernel.requests.drain();
  const quiet = lastRequests(kernel.requests, listener, shutdownMs);
  // An event stream is a running request that ends with the sockets: no waiting for requests.
  await Promise.all([within(left(), answered), connections.drain(Math.min(1000, left())), offers.mailIn.stop(left())]);
  await features.end("stop", left, lastLeft);
  await within(left(), bus.idle());
  await features.end("close", lastLeft);
  base.storage.stop();
  presence.close();
  await base.emergency.stop(left());
  await within(lastLeft(), store.committer.settled());
  // What only writes is not begun without time; what was begun may take as long as the disk does.
  if (lastLeft() > 0) await within(lastLeft(), offers.auditHead.stop());
  await quiet;
  listener.close();
  await store.close(lastLeft());
}

/** Stops one command's core after its last answer. @param auditSeq the trail's end before it */
export async function stopCommand({ base, core, offers, features }: Parts, auditSeq: number): Promise<void> {
  const { store, readsOnly } = base;
  core.listener.stopListening();
  await base.bus.idle();
  await features.end("close", () => COMMAND_LIMIT_MS);
  base.storage.stop();
  core.presence.close();
  // No job runs; it closes its file.
  await offers.runner.stop(0);
  await store.committer.settled();
  if (!readsOnly) await offers.auditHead.noteSince(auditSeq);
  core.listener.close();
  await store.close();
}

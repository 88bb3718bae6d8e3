import { unlessAborted } from "../../core/promises.ts";

/** Channels have shorter limits of their own; this one is for what hangs all the same. */
const LIMIT_MS = 60_000;
/** What a provider is left with when this process stops: an answer that comes now saves a second message after the next start. */
const GRACE_MS = 2000;

/** A call was given up because this process stops: its job is handed back, and whether the provider has the message is not known. */
export class StoppedCall extends Error {
  override readonly name = "StoppedCall";
}

/**
 * Makes a call, and gives up when it takes too long, or soon after this process has been asked to stop.
 * @throws what it throws, StoppedCall, and Error for the limit
 */
export async function callWithin<T>(call: (signal: AbortSignal) => Promise<T>, stop: AbortSignal): Promise<T> {
  const controller = new AbortController();
  const { signal } = controller;
  const timers: NodeJS.Timeout[] = [];
  const abortIn = (ms: number, error: Error): void => {
    timers.push(setTimeout(() => controller.abort(error), ms));
  };
  const onStop = (): void => abortIn(GRACE_MS, new StoppedCall("the process is stopping"));
  abortIn(LIMIT_MS, new Error(`no answer within ${LIMIT_MS / 1000} seconds`));
  if (stop.aborted) onStop();
  else stop.addEventListener("abort", onStop, { once: true });
  try {
    return await unlessAborted(call(signal), signal);
  } finally {
    stop.removeEventListener("abort", onStop);
    for (const timer of timers) clearTimeout(timer);
  }
}

import { pbkdf2Sync, timingSafeEqual } from "node:crypto";
import { parentPort } from "node:worker_threads";
import bcrypt from "bcrypt";
import { noteLoaded, yieldToOthers } from "../../../core/runtime.ts";
import { costOf, decoyHash, djangoHash } from "./password-text.ts";

/** One task at a time: the pool sends the next one after the answer. */
export type HashTask =
  | { readonly op: "hash"; readonly input: string; readonly cost: number }
  | { readonly op: "django"; readonly input: string; readonly hash: string }
  | { readonly op: "compare"; readonly input: string; readonly hash: string; readonly cost: number };

export type HashAnswer =
  | { readonly ok: true; readonly value: string | boolean }
  | { readonly ok: false; readonly message: string };

/**
 * Main function of a hash thread. It uses bcrypt's synchronous calls: the asynchronous ones would
 * take libuv's pool from signatures, files and look-ups.
 */
export function runHashThread(): void {
  const port = parentPort;
  if (!port) throw new TypeError("passwords are hashed in a thread of their own");
  // A flood of logins must not take the processor from events.
  yieldToOthers();
  noteLoaded();
  port.on("message", (task: HashTask) => port.postMessage(perform(task)));
}

function perform(task: HashTask): HashAnswer {
  try {
    return { ok: true, value: resultOf(task) };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

function resultOf(task: HashTask): string | boolean {
  switch (task.op) {
    case "hash":
      return bcrypt.hashSync(task.input, task.cost);
    case "compare":
      return compareAtCost(task.input, task.hash, task.cost);
    case "django":
      return compareDjango(task.input, task.hash);
  }
}

function compareDjango(input: string, text: string): boolean {
  const known = djangoHash(text);
  if (!known) return false;
  const { iterations, salt, hash } = known;
  return timingSafeEqual(pbkdf2Sync(input, salt, iterations, hash.length, "sha256"), hash);
}

/**
 * Takes the time of `cost` even for a hash with a lower cost, so that timing does not reveal old
 * accounts: each step doubles the rounds, and 2^a + 2^a + 2^(a+1) + … + 2^(b-1) = 2^b.
 */
export function compareAtCost(input: string, hash: string, cost: number): boolean {
  const isRight = bcrypt.compareSync(input, hash);
  for (let step = costOf(hash) ?? cost; step < cost; step++) bcrypt.compareSync(input, decoyHash(step));
  return isRight;
}

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { startPrism } from "../helpers/prism.ts";
import { rowsOf } from "../helpers/tables.ts";

const BODY = { type: "door.opened", payload: { code: "329929" } };
const KEYED = { headers: { "Idempotency-Key": "k-1" } };

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

test("a request body cannot be guessed from the stored fingerprint", async (t) => {
  const prism = await startPrism(t);
  assert.equal((await prism.post("/api/v1/events", BODY, KEYED)).status, 202);
  const [row] = rowsOf<{ fingerprint: string }>(prism, "select fingerprint from idempotency_keys");
  const guesses = [JSON.stringify(BODY), JSON.stringify(JSON.stringify(BODY))].flatMap((text) => [
    sha256(text),
    sha256(sha256(text)),
  ]);
  assert.match(row?.fingerprint ?? "", /^[0-9a-f]{64}$/);
  assert.ok(!guesses.includes(row?.fingerprint ?? ""));
});

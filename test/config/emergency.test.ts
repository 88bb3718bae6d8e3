import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { temporaryDir } from "../helpers/store.ts";
import { load, problemsOf } from "./support/load.ts";

test("the ways of emergency come from the file and the environment", (t) => {
  const file = { emergency: { smtp: { host: "mx.example", to: ["a@example.org"] }, command: ["/bin/page", "a, b"] } };
  const environment = { PRISM_EMERGENCY_WEBHOOK: "https://hooks.example/x", PRISM_EMERGENCY_AFTER_MS: "2m" };
  const { config } = load(t, { files: { "prism.config.json": file }, environment });
  const { webhook, command, smtp, afterMs } = config.emergency;
  assert.deepEqual([webhook, afterMs], ["https://hooks.example/x", 120_000]);
  assert.deepEqual(command, ["/bin/page", "a, b"]);
  assert.deepEqual([smtp.host, smtp.port, smtp.to], ["mx.example", 587, ["a@example.org"]]);
});

test("a command in a variable is a JSON list, or one program whose name is never split", (t) => {
  for (const { text, command } of [
    { text: '["/bin/page", "--to", "ops, night"]', command: ["/bin/page", "--to", "ops, night"] },
    { text: "/opt/my program/page", command: ["/opt/my program/page"] },
  ])
    assert.deepEqual(load(t, { environment: { PRISM_EMERGENCY_COMMAND: text } }).config.emergency.command, command);
});

test("what of emergency is not valid is refused", (t) => {
  for (const [name, environment, problem] of [
    ["a broken list", { PRISM_EMERGENCY_COMMAND: '["/bin/page"' }, /must be a list of texts/],
    ["mail without a recipient", { PRISM_EMERGENCY_SMTP_HOST: "mx" }, /smtp\.to must hold/],
    ["a recipient without a server", { PRISM_EMERGENCY_SMTP_TO: "a@b.org" }, /needs emergency\.smtp\.host/],
    ["a recipient with a name", { PRISM_EMERGENCY_SMTP_TO: "A <a@b.org>" }, /must be a mail address/],
  ] as const)
    assert.match(problemsOf(t, { environment }).join("\n"), problem, name);
});

test("the console cannot store them", (t) => {
  const dir = temporaryDir(t);
  mkdirSync(join(dir, "data"));
  const files = { "data/settings.json": { emergency: { webhook: "https://hooks.example/x" } } };
  assert.match(
    problemsOf(t, { workingDir: dir, files }).join(),
    /emergency\.webhook cannot be set in .*settings\.json/,
  );
});

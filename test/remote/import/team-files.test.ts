import assert from "node:assert/strict";
import test from "node:test";
import { ImportedFiles } from "../../../src/remote/import/files.ts";
import { TeamFiles } from "../../../src/remote/import/team-files.ts";

const OPTIONS = { project: "opsgenie", teams: null, untilMs: 1, accept: [] };

test("people get usernames that Prism takes, and no two the same one", () => {
  const team = new TeamFiles(new ImportedFiles("opsgenie"), { now: 0, teams: [] }, OPTIONS);
  const nobody = { name: null, timezone: null, phone: null, contactRules: null };
  const names = ["a@example.com", "me@example.com", "ada@example.com", "ada@example.org"].map((email, i) =>
    team.addPerson({ id: String(i), email, ...nobody }),
  );
  assert.deepEqual(names, ["a-person", "me-2", "ada", "ada-2"]);
});

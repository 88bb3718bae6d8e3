import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import test from "node:test";

const OWNERS = ["job-sql.ts", "job-table.ts"];
const WRITES =
  /(?:insertInto|updateTable|deleteFrom)\(\s*"(?:jobs|job_attempts)"|(?:update|insert into|delete from)\s+(?:jobs|job_attempts)\b/;

test("only the owner of the job table writes jobs and their attempts", () => {
  const sources = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  const writers = sources.filter((file) => WRITES.test(readFileSync(join("src", file), "utf8")));
  assert.deepEqual(writers.map((file) => basename(file)).sort(), OWNERS);
});

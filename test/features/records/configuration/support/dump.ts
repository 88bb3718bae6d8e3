import type { TestPrism } from "../../../../helpers/prism.ts";
import { rowsOf } from "../../../../helpers/tables.ts";

/** Tables of what runs, or of refusals themselves. */
const NOT_COMPARED =
  /^(sqlite_|local_state|audit_|jobs|job_|sessions|access_tokens|refresh|security_events|login|events_fts|settings)/;

/** All rows of all tables. */
export function dumpOf(prism: TestPrism): Readonly<Record<string, string>> {
  const tables = rowsOf<{ name: string }>(prism, "select name from sqlite_master where type = 'table' order by name");
  const names = tables.map(({ name }) => name).filter((name) => !NOT_COMPARED.test(name));
  return Object.fromEntries(names.map((name) => [name, JSON.stringify(rowsOf(prism, `select * from "${name}"`))]));
}

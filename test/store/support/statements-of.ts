import type { WriterPort, WriterRequest } from "../../../src/store/commit/writers.ts";
import type { QueryRows } from "../../../src/store/sqlite/connection.ts";

/** The texts of the statements that a request gives to the writing connection. */
export function statementsOf(request: WriterRequest): string[] {
  if (request.op === "together") return request.requests.flatMap(statementsOf);
  if (request.op === "queries") return request.statements.map(({ sql }) => sql);
  return "end" in request ? request.end.statements.map(({ sql }) => sql) : [];
}

/** Runs one statement in the open transaction of the writing connection. */
export async function runOn(port: WriterPort, sql: string, parameters: readonly unknown[] = []): Promise<unknown[]> {
  const [answer] = (await port.ask({ op: "queries", statements: [{ sql, parameters }] })) as QueryRows[];
  return answer?.rows ?? [];
}

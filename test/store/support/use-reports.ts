import assert from "node:assert/strict";
import { uuidv7 } from "../../../src/core/ids.ts";
import type { TestPrism } from "../../helpers/prism.ts";

/** Reads every report and the incidents behind them, and counts what has ended. */
export async function useReports(prism: TestPrism): Promise<void> {
  await prism.parts.offers.reports.collect();
  const range = `from=${new Date(Date.now() - 40 * 86_400_000).toISOString()}`;
  const paths = [
    ...["key", "project", "policy", "severity", "day", "week", "label:env"].map((by) => `/reports/incidents?by=${by}`),
    "/reports/incidents?compare=true&days=7",
    ...["people", "noise", "schedules", "incidents"].map((name) => `/reports/${name}?${range}`),
    ...[
      "counted=all",
      "counted=brief",
      "key=a",
      `paged=${uuidv7()}`,
      `paged=${uuidv7()}&pages=night&${range}`,
      range,
      `${range}&to=${new Date().toISOString()}`,
    ].map((filter) => `/incidents?${filter}`),
  ];
  for (const path of paths) {
    const { status, text } = await prism.get(`/api/v1${path}`);
    assert.equal(status, 200, `${path}: ${text}`);
  }
}

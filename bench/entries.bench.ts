/**
 * What one request of each entry costs, with the jobs that follow it, beside an event: 64 connections
 * that send the same requests without a pause, each answered after its commit. `BENCH_ENTRY` selects by
 * a part of the name.
 */
import "../scripts/node-version.mjs";
import {
  CONNECTIONS,
  ENTRIES,
  json,
  MESSAGE,
  ofPrism,
  type Request,
  repeatedAlerts,
  type Sample,
  sampleOf,
} from "./lib/entries.ts";
import { startAlertmanager, startNtfy } from "./lib/neighbours.ts";
import { memoryMiB } from "./lib/process-figures.ts";
import type { Server } from "./lib/processes.ts";
import { median, ROUNDS, type Row, report, round, SECONDS } from "./lib/report.ts";

interface Measured extends Sample {
  /** Resident MiB. */
  readonly seen: number;
}

interface Neighbour {
  readonly program: string;
  readonly start: () => Promise<Server>;
  readonly request: Request;
}

/** The same requests to the program that defines the protocol. */
const NEIGHBOURS: Readonly<Record<string, Neighbour>> = {
  "ntfy: publish": {
    program: "ntfy",
    start: startNtfy,
    request: { path: "/bench", headers: {}, bodies: [MESSAGE] },
  },
  "alert, repeated": {
    program: "Alertmanager",
    start: startAlertmanager,
    request: json("/api/v2/alerts", {}, repeatedAlerts()),
  },
};

const chosen = Object.entries(ENTRIES).filter(([name]) => name.includes(process.env["BENCH_ENTRY"] ?? ""));
const rows: Row[] = [];
let eventUs = Number.NaN;
for (const [name, entry] of chosen) {
  const own: Measured[] = [];
  const other: Measured[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    own.push(await ofPrism(entry, residentMiB));
    other.push(...(await ofNeighbour(name)));
  }
  const row = rowOf(name, own);
  if (Number.isNaN(eventUs)) eventUs = row["us of processor time"];
  rows.push({ ...row, "events' cost": round(row["us of processor time"] / eventUs, 2) });
  const neighbour = NEIGHBOURS[name];
  if (neighbour && other.length > 0)
    rows.push({ ...rowOf(`the same at ${neighbour.program}`, other), "events' cost": "" });
}
report("entries", `${CONNECTIONS} connections, ${ROUNDS} rounds of ${SECONDS} s, medians`, rows);

function rowOf(entry: string, samples: readonly Measured[]) {
  return {
    entry,
    "requests/s": round(median(samples.map((each) => each.requestsPerSecond))),
    "us of processor time": round(median(samples.map((each) => each.totalUs)), 1),
    "of the main thread": round(median(samples.map((each) => each.mainUs)), 1),
    "p99 ms": round(median(samples.map((each) => each.p99Ms)), 2),
    "resident MiB": round(median(samples.map((each) => each.seen))),
    refused: samples.reduce((sum, each) => sum + each.errors, 0),
  };
}

/** @returns nothing when the program is not installed */
async function ofNeighbour(name: string): Promise<Measured[]> {
  const neighbour = NEIGHBOURS[name];
  const server = await neighbour?.start().catch((error: unknown) => console.error(String(error)));
  if (!neighbour || !server) return [];
  try {
    return [{ ...(await sampleOf(server, neighbour.request)), seen: residentMiB(server) }];
  } finally {
    await server.stop();
  }
}

function residentMiB({ pid }: Server): number {
  return memoryMiB(pid).resident;
}
